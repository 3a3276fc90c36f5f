package mintegral

import (
	"strconv"
	"sync"

	"throng"
)

// quickMatch reads the body of POST /offer/match where it looks as clients
// write it: the two keys, and devices of a number and an id without escapes. It
// takes a twentieth of the time of decodeMatch, which reads everything else:
// not ok says nothing about whether the body is good. What quickMatch takes,
// decodeMatch takes for the same.
func quickMatch(body []byte) (offer int64, devices []throng.DeviceID, ok bool) {
	s := scanner{text: string(body)}
	s.object(func(key string) bool {
		switch {
		case key == "offer_id" && offer == 0:
			offer = s.number()
			return offer > 0
		case key == "devices" && devices == nil:
			devices = s.devices()
			return devices != nil
		}
		return false
	})
	s.space()
	return offer, devices, !s.odd && s.at == len(s.text) && offer > 0 && devices != nil
}

// scanner walks over JSON of the plainest sort. Once odd it stays so.
type scanner struct {
	text string // ids are parts of it
	at   int
	odd  bool
}

func (s *scanner) space() {
	for s.at < len(s.text) && (s.text[s.at] == ' ' || s.text[s.at] == '\n' || s.text[s.at] == '\t' || s.text[s.at] == '\r') {
		s.at++
	}
}

// is takes a character that may come next.
func (s *scanner) is(c byte) bool {
	s.space()
	if s.odd || s.at >= len(s.text) || s.text[s.at] != c {
		return false
	}
	s.at++
	return true
}

// want takes a character that must come next.
func (s *scanner) want(c byte) {
	if !s.is(c) {
		s.odd = true
	}
}

// object walks an object of at least one key; value takes the value of each.
func (s *scanner) object(value func(key string) bool) {
	s.want('{')
	for !s.odd {
		key := s.plain()
		s.want(':')
		if s.odd || !value(key) {
			s.odd = true
			return
		}
		if !s.is(',') {
			s.want('}')
			return
		}
	}
}

// plain takes a string of visible ASCII without escapes.
func (s *scanner) plain() string {
	if s.want('"'); s.odd {
		return ""
	}
	rest := s.text[s.at:]
	for i := range len(rest) {
		if c := rest[i]; c == '"' {
			s.at += i + 1
			return rest[:i]
		} else if c == '\\' || c < ' ' || c > '~' {
			break
		}
	}
	s.odd = true
	return ""
}

// number takes a positive whole number of at most 18 digits.
func (s *scanner) number() (n int64) {
	s.space()
	from := s.at
	for s.at < len(s.text) && s.at-from < 18 && s.text[s.at]-'0' <= 9 {
		n = n*10 + int64(s.text[s.at]-'0')
		s.at++
	}
	if s.at == from || s.text[from] == '0' {
		s.odd = true
		return 0
	}
	return n
}

func (s *scanner) devices() []throng.DeviceID {
	list := make([]throng.DeviceID, 0, min(maxDevices, len(s.text)/64+1))
	s.want('[')
	if s.is(']') {
		return list
	}
	for !s.odd && len(list) < maxDevices {
		d := s.device()
		d.Path = idPaths()[len(list)]
		if list = append(list, d); !s.is(',') {
			s.want(']')
			return list
		}
	}
	s.odd = true
	return list
}

func (s *scanner) device() (d throng.DeviceID) {
	s.object(func(key string) bool {
		switch {
		case key == "device_type" && d.Type == "":
			d.Type, _ = deviceType(s.number())
			return d.Type != ""
		case key == "id" && d.ID == "":
			d.ID = s.plain()
			return d.ID != ""
		}
		return false
	})
	if d.Type == "" || d.ID == "" {
		s.odd = true
	}
	return d
}

// idPaths are the paths of the ids that a question may have.
var idPaths = sync.OnceValue(func() []string {
	paths := make([]string, maxDevices)
	for i := range paths {
		paths[i] = "devices[" + strconv.Itoa(i) + "].id"
	}
	return paths
})
