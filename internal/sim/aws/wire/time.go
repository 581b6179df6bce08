package wire

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Time is a timestamp on the wire: ISO 8601 with milliseconds and a Z in XML and forms, seconds since the epoch (a number
// with up to three decimals) in JSON. Use *Time, made by At, where it may be absent.
type Time struct{ time.Time }

const isoMillis = "2006-01-02T15:04:05.000Z"

// At returns t for the wire, or nil if t is zero.
func At(t time.Time) *Time {
	if t.IsZero() {
		return nil
	}
	return &Time{t}
}

// String is the ISO 8601 form.
func (t Time) String() string { return t.UTC().Format(isoMillis) }

// MarshalJSON writes seconds since the epoch.
func (t Time) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(t.UnixMilli())/1000, 'f', -1, 64), nil
}

// UnmarshalJSON reads seconds since the epoch.
func (t *Time) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil || math.IsNaN(f) || math.Abs(f) > maxEpoch {
		return fmt.Errorf("reading timestamp %q: want seconds since the epoch", b)
	}
	t.Time = time.UnixMilli(int64(math.Round(f * 1000))).UTC()
	return nil
}

// maxEpoch is the year 9999: beyond it there is no ISO 8601 form.
const maxEpoch = 253402300799

// UnmarshalText reads ISO 8601, or seconds since the epoch, as query services accept them.
func (t *Time) UnmarshalText(b []byte) error {
	if parsed, err := time.Parse(time.RFC3339, string(b)); err == nil {
		t.Time = parsed.UTC()
		return nil
	}
	return t.UnmarshalJSON(b)
}
