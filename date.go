package arbalest

import "time"

// TimeLayout is how times are spelled in stored lines: RFC 3339 in UTC, with
// no more fractional digits than there are.
const TimeLayout = "2006-01-02T15:04:05.999999999Z"

// AppendTime appends a time of the years 0 to 9999 in TimeLayout.
func AppendTime(dst []byte, t time.Time) []byte {
	const daySeconds = 86400
	sec := t.Unix()
	days := sec / daySeconds
	if sec -= days * daySeconds; sec < 0 {
		sec += daySeconds
		days--
	}
	year, month, day := civil(days)
	dst = append(dst, byte('0'+year/1000), byte('0'+year/100%10), byte('0'+year/10%10), byte('0'+year%10),
		'-', byte('0'+month/10), byte('0'+month%10), '-', byte('0'+day/10), byte('0'+day%10),
		'T', byte('0'+sec/36000), byte('0'+sec/3600%10), ':', byte('0'+sec/600%6), byte('0'+sec/60%10), ':', byte('0'+sec/10%6), byte('0'+sec%10))
	if nano := t.Nanosecond(); nano > 0 {
		dst = append(dst, '.')
		for ; nano > 0; nano = nano % 100_000_000 * 10 {
			dst = append(dst, byte('0'+nano/100_000_000))
		}
	}
	return append(dst, 'Z')
}

// DaysSince1970 returns the days from 1970-01-01 to a date of the Gregorian
// calendar, by Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms",
// days_from_civil, for years from 1.
func DaysSince1970(year, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era := year / 400
	ofEra := year % 400
	ofYear := (153*(month-3)+2)/5 + day - 1
	return int64(era*146097 + ofEra*365 + ofEra/4 - ofEra/100 + ofYear - 719468)
}

// DaysIn returns how many days a month has.
func DaysIn(year, month int) int {
	if month == 2 && year%4 == 0 && (year%100 != 0 || year%400 == 0) {
		return 29
	}
	return [...]int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}[month-1]
}

// civil returns the date, in the Gregorian calendar, of days since 1970-01-01,
// by Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms",
// civil_from_days, for years from 0.
func civil(days int64) (year, month, day int64) {
	days += 719468
	era := days / 146097
	ofEra := days % 146097
	yearOfEra := (ofEra - ofEra/1460 + ofEra/36524 - ofEra/146096) / 365
	ofYear := ofEra - (365*yearOfEra + yearOfEra/4 - yearOfEra/100)
	shifted := (5*ofYear + 2) / 153 // months from March
	day = ofYear - (153*shifted+2)/5 + 1
	if month = shifted + 3; month > 12 {
		month -= 12
	}
	year = yearOfEra + era*400
	if month <= 2 {
		year++
	}
	return year, month, day
}

// ParseStored reads a time in TimeLayout, of the years 1 to 9999, in microseconds
// since 1970; of finer digits only that they are digits is looked at.
func ParseStored(s []byte) (us int64, ok bool) {
	if len(s) < 20 || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' || s[len(s)-1] != 'Z' {
		return 0, false
	}
	d := twoDigits{s: s}
	year, month, day := d.at(0)*100+d.at(2), d.at(5), d.at(8)
	hour, minute, sec := d.at(11), d.at(14), d.at(17)
	if d.bad || year < 1 || month < 1 || month > 12 || day < 1 || day > DaysIn(year, month) || hour > 23 || minute > 59 || sec > 59 {
		return 0, false
	}
	us = (DaysSince1970(year, month, day)*86400 + int64(hour*3600+minute*60+sec)) * 1_000_000
	if len(s) == 20 {
		return us, true
	}
	return us, s[19] == '.' && addFraction(s[20:len(s)-1], &us)
}

// addFraction adds the digits after a second's point, of which those beyond
// the sixth are only looked at.
func addFraction(s []byte, us *int64) bool {
	if len(s) == 0 || len(s) > 9 {
		return false
	}
	unit := int64(100_000)
	for _, c := range s {
		if c -= '0'; c > 9 {
			return false
		}
		*us += int64(c) * unit
		unit /= 10
	}
	return true
}

// twoDigits reads pairs of digits; bad says that one was none.
type twoDigits struct {
	s   []byte
	bad bool
}

func (d *twoDigits) at(i int) int {
	a, b := d.s[i]-'0', d.s[i+1]-'0'
	d.bad = d.bad || a > 9 || b > 9
	return int(a)*10 + int(b)
}
