package dataset

import "time"

// parseTime reads an RFC 3339 date (its first instant, UTC) or date-time, the
// T and Z in either case or the T as a space, in microseconds since 1970. What
// a fraction holds beyond microseconds is cut off. Years are from 1 to 9999.
func parseTime(b []byte) (us int64, ok bool) {
	if len(b) < 10 || b[4] != '-' || b[7] != '-' {
		return 0, false
	}
	year, ok1 := digits(b[0:4])
	month, ok2 := digits(b[5:7])
	day, ok3 := digits(b[8:10])
	if !ok1 || !ok2 || !ok3 || year < 1 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return 0, false
	}
	seconds := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC).Unix()
	if len(b) == 10 {
		return seconds * 1e6, true
	}
	clock, ok := parseClock(b[10:])
	return seconds*1e6 + clock, ok
}

// parseClock reads what follows the date in a date-time, in microseconds since
// its midnight in UTC.
func parseClock(b []byte) (us int64, ok bool) {
	if len(b) < 10 || (b[0] != 'T' && b[0] != 't' && b[0] != ' ') || b[3] != ':' || b[6] != ':' {
		return 0, false
	}
	hour, ok1 := digits(b[1:3])
	minute, ok2 := digits(b[4:6])
	second, ok3 := digits(b[7:9])
	// 60 is how a leap second is written.
	if !ok1 || !ok2 || !ok3 || hour > 23 || minute > 59 || second > 60 {
		return 0, false
	}
	us = int64(hour*3600+minute*60+second) * 1e6
	b = b[9:]
	if b[0] == '.' {
		i, unit := 1, int64(100_000)
		for ; i < len(b) && '0' <= b[i] && b[i] <= '9'; i++ {
			us += int64(b[i]-'0') * unit
			unit /= 10
		}
		if i == 1 {
			return 0, false
		}
		b = b[i:]
	}
	if len(b) == 1 && (b[0] == 'Z' || b[0] == 'z') {
		return us, true
	}
	if len(b) != 6 || (b[0] != '+' && b[0] != '-') || b[3] != ':' {
		return 0, false
	}
	hour, ok1 = digits(b[1:3])
	minute, ok2 = digits(b[4:6])
	if !ok1 || !ok2 || hour > 23 || minute > 59 {
		return 0, false
	}
	offset := int64(hour*3600+minute*60) * 1e6
	if b[0] == '-' {
		offset = -offset
	}
	return us - offset, true
}

// digits reads a number of decimal digits alone.
func digits(b []byte) (n int, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

func daysIn(year, month int) int {
	switch {
	case month == 2 && year%4 == 0 && (year%100 != 0 || year%400 == 0):
		return 29
	case month == 2:
		return 28
	case month == 4 || month == 6 || month == 9 || month == 11:
		return 30
	default:
		return 31
	}
}
