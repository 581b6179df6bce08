package fault

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func add(t *testing.T, s *Script, r Rule) string {
	t.Helper()
	id, err := s.Add(r)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// decisions tells which of n equal calls are broken: "x" or ".".
func decisions(s *Script, c Call, n int) string {
	var b strings.Builder
	for range n {
		if s.Decide(c) != nil {
			b.WriteByte('x')
		} else {
			b.WriteByte('.')
		}
	}
	return b.String()
}

func TestSelection(t *testing.T) {
	t.Parallel()
	call := Call{Service: "eks", Operation: "CreateCluster", Text: `POST /clusters {"name":"c1"}`}
	for name, c := range map[string]struct {
		rule Rule
		want string
	}{
		"all":             {Rule{}, "xxxxx"},
		"service":         {Rule{Service: "eks"}, "xxxxx"},
		"other service":   {Rule{Service: "ec2"}, "....."},
		"pattern":         {Rule{Operation: "Create*"}, "xxxxx"},
		"other operation": {Rule{Operation: "Describe*"}, "....."},
		"text":            {Rule{Match: `"c1"`}, "xxxxx"},
		"other text":      {Rule{Match: `"c2"`}, "....."},
		"third":           {Rule{Nth: 3}, "..x.."},
		"twice":           {Rule{Count: 2}, "xx..."},
		"never":           {Rule{Nth: 2, Count: 1, Operation: "x"}, "....."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := NewScript(1)
			c.rule.Effect = Throttle
			add(t, s, c.rule)
			if got := decisions(s, call, 5); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestFirstRuleDecidesAndAllCount(t *testing.T) {
	t.Parallel()
	s := NewScript(1)
	first := add(t, s, Rule{Effect: Throttle, Count: 1})
	second := add(t, s, Rule{Effect: Fail, Code: "X", Nth: 2})
	var got []string
	for range 3 {
		if r := s.Decide(Call{}); r != nil {
			got = append(got, r.ID)
		} else {
			got = append(got, "")
		}
	}
	if diff := cmp.Diff([]string{first, second, ""}, got); diff != "" {
		t.Error(diff)
	}
	for _, r := range s.List() {
		if r.Seen != 3 || r.Broken != 1 {
			t.Errorf("%s: seen %d, broken %d", r.ID, r.Seen, r.Broken)
		}
	}
	if n := s.Clear(first); n != 1 || len(s.List()) != 1 {
		t.Errorf("removed %d, left %v", n, s.List())
	}
	if n := s.Clear("f99"); n != 0 {
		t.Errorf("removed %d of none", n)
	}
	if n := s.Clear(""); n != 1 || len(s.List()) != 0 {
		t.Errorf("removed %d, left %v", n, s.List())
	}
}

func TestChanceIsRepeatable(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		seed, p := rapid.Uint64().Draw(t, "seed"), rapid.Float64Range(0.01, 1).Draw(t, "probability")
		run := func() string {
			s := NewScript(seed)
			if _, err := s.Add(Rule{Effect: Drop, Probability: p}); err != nil {
				t.Fatal(err)
			}
			return decisions(s, Call{}, 200)
		}
		once := run()
		if again := run(); once != again {
			t.Fatalf("%s, then %s", once, again)
		}
	})
	s := NewScript(7)
	add(t, s, Rule{Effect: Drop, Probability: 0.3})
	if n := strings.Count(decisions(s, Call{}, 2000), "x"); n < 500 || n > 700 {
		t.Errorf("%d of 2000 calls were broken at probability 0.3", n)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := Parse([]byte(`{"service":"eks","operation":"*","nth":2,"effect":"latency","delay":"250ms"}`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Rule{Service: "eks", Operation: "*", Nth: 2, Effect: Latency, Delay: Duration(250 * time.Millisecond)}, got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{
		`{}`, `{"effect":"explode"}`, `{"effect":"error"}`, `{"effect":"latency"}`, `{"effect":"throttle","service":"["}`, `{"effect":"throttle","nth":-1}`,
		`{"effect":"throttle","probability":2}`, `{"effect":"throttle","status":200}`, `{"effect":"throttle","opration":"x"}`, `{"effect":"latency","delay":"fast"}`, `x`,
	} {
		if _, err := Parse([]byte(bad)); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
	if _, err := NewScript(1).Add(Rule{}); err == nil {
		t.Error("a rule without an effect was added")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"effect":"error","code":"X","status":500,"match":"a"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := Parse(raw)
		if err != nil {
			return
		}
		out, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(out)
		if err != nil {
			t.Fatalf("%s became %s: %v", raw, out, err)
		}
		if diff := cmp.Diff(r, again); diff != "" {
			t.Fatal(diff)
		}
	})
}
