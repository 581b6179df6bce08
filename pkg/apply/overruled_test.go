package apply

import "testing"

func TestFormsOfTheSameValue(t *testing.T) {
	type tree = map[string]any
	for _, c := range []struct {
		stored, sent any
		want         bool
	}{
		{"1", "1000m", true},
		{"1Gi", "1024Mi", true},
		{"500m", 0.5, true},
		{int64(80), "80", true},
		{"1h0m0s", "60m", true},
		{"2026-11-22T01:00:00Z", "2026-11-22T02:00:00+01:00", true},
		{nil, "", true},
		{nil, false, true},
		{nil, tree{}, true},
		{nil, []any{}, true},
		{tree{"a": "x", "defaulted": "y"}, tree{"a": "x"}, true},
		{[]any{tree{"a": "x", "defaulted": "y"}}, []any{tree{"a": "x"}}, true},
		{"aGk=", "aG\nk=", true},
		{"2", "1000m", false},
		{"hooked", "on", false},
		{nil, "on", false},
		{nil, true, false},
		{true, false, false},
		{int64(3), int64(0), false},
		{nil, tree{"a": "x"}, false},
		{[]any{"a", "b"}, []any{"a"}, false},
		{[]any{"b"}, []any{"a"}, false},
	} {
		if got := conveys(c.stored, c.sent); got != c.want {
			t.Errorf("%v says all of %v: %v, want %v", c.stored, c.sent, got, c.want)
		}
	}
}
