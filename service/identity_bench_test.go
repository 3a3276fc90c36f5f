package service

import (
	"fmt"
	"testing"

	"throng"
	"throng/internal/seal"
)

// BenchmarkAuthenticate is what a request costs before it is known whose it is:
// with a token that is good, with one that is not, which anybody can send, and
// with what is no token at all.
func BenchmarkAuthenticate(b *testing.B) {
	s := open(b)
	made, err := s.AddCaller(b.Context(), "known", CallerSettings{})
	if err != nil {
		b.Fatal(err)
	}
	wrong := make([]string, 256)
	for i := range wrong {
		wrong[i] = seal.NewToken()
	}
	for name, token := range map[string]func(int) string{
		"good":     func(int) string { return made.Token },
		"wrong":    func(i int) string { return wrong[i%len(wrong)] },
		"no token": func(i int) string { return fmt.Sprint("password", i) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := s.Authenticate(b.Context(), token(i)); (err == nil) != (name == "good") || err != nil && throng.CodeOf(err) != throng.Unauthorized {
					b.Fatal(err)
				}
			}
		})
	}
	limited, err := s.AddCaller(b.Context(), "limited", CallerSettings{CallerLimits: CallerLimits{RequestsPerSecond: new(1 << 30)}})
	if err != nil {
		b.Fatal(err)
	}
	for name, key := range map[string]string{"signed": made.AccessKey, "signed, with a limit": limited.AccessKey} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.AuthenticateKey(b.Context(), key, func(string) bool { return true }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("wrong signature", func(b *testing.B) { // what POST /offer/match meets
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.AuthenticateKey(b.Context(), made.AccessKey, func(string) bool { return false }); throng.CodeOf(err) != throng.Unauthorized {
				b.Fatal(err)
			}
		}
	})
}
