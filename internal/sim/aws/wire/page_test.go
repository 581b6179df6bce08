package wire

import (
	"encoding/base64"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestPage(t *testing.T) {
	t.Parallel()
	_, afterB, _ := Page([]string{"a", "b", "c"}, Self, 2, "")
	_, afterNothing, _ := Page([]string{"", "a"}, Self, 1, "")
	for _, tt := range []struct {
		name  string
		items []string
		size  int
		token string
		want  []string
		more  bool
	}{
		{name: "nothing", size: 2, want: []string{}},
		{name: "first page", items: []string{"a", "b", "c"}, size: 2, want: []string{"a", "b"}, more: true},
		{name: "in any order", items: []string{"c", "a", "b"}, size: 2, want: []string{"a", "b"}, more: true},
		{name: "just enough", items: []string{"a", "b"}, size: 2, want: []string{"a", "b"}},
		{name: "last page", items: []string{"a", "b", "c"}, size: 2, token: afterB, want: []string{"c"}},
		{name: "all left", token: afterB, size: 2, want: []string{}},
		{name: "all that are left were shown", items: []string{"a"}, token: afterB, size: 2, want: []string{}},
		{name: "the named item left", items: []string{"a", "c"}, token: afterB, size: 2, want: []string{"c"}},
		{name: "items came before and behind", items: []string{"a", "aa", "b", "bb", "c"}, token: afterB, size: 1, want: []string{"bb"}, more: true},
		{name: "an empty key is a key", items: []string{"", "a"}, token: afterNothing, size: 1, want: []string{"a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, next, ok := Page(tt.items, Self, tt.size, tt.token)
			if diff := cmp.Diff(tt.want, got); diff != "" || !ok || (next != "") != tt.more {
				t.Errorf("next is %q, ok %v, page (-want +got)\n%s", next, ok, diff)
			}
		})
	}
}

func TestPageRefusesForeignTokens(t *testing.T) {
	t.Parallel()
	_, ours, _ := Page([]string{"a", "b", "c"}, Self, 2, "")
	for _, token := range []string{"b", "2", "nonsense", ours + "!", ours[1:], base64.RawURLEncoding.EncodeToString([]byte("2"))} {
		if part, next, ok := Page([]string{"a", "b", "c"}, Self, 2, token); ok || part != nil || next != "" {
			t.Errorf("%q is taken for ours: %v, %q", token, part, next)
		}
	}
}

// TestPageWhileItemsComeAndGo proves what Page promises: whatever comes or goes between two calls, what is there all the time
// is shown exactly once, and nothing is shown twice.
func TestPageWhileItemsComeAndGo(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfDistinct(rapid.StringN(0, 3, -1), rapid.ID[string])
		there := names.Draw(t, "there")
		always := map[string]bool{}
		for _, name := range there {
			always[name] = true
		}
		shown := []string{}
		for token, more := "", true; more; more = token != "" {
			size := rapid.IntRange(1, 5).Draw(t, "size")
			part, next, ok := Page(rapid.Permutation(there).Draw(t, "order"), Self, size, token)
			if !ok || len(part) > size || next != "" && len(part) < size {
				t.Fatalf("page of %d is %q, next %q, ok %v", size, part, next, ok)
			}
			shown, token = append(shown, part...), next

			gone := rapid.SliceOfN(rapid.SampledFrom(append(there, "")), 0, 3).Draw(t, "gone")
			there = slices.DeleteFunc(there, func(name string) bool { return slices.Contains(gone, name) })
			for _, name := range gone {
				delete(always, name)
			}
			come := rapid.SliceOfNDistinct(rapid.StringN(0, 3, -1), 0, 3, rapid.ID[string]).Draw(t, "come")
			there = slices.Compact(slices.Sorted(slices.Values(append(there, come...))))
			if len(shown) > 300 {
				t.Skip("more came than was shown")
			}
		}
		if !slices.IsSorted(shown) || len(slices.Compact(slices.Clone(shown))) != len(shown) {
			t.Errorf("shown: %q", shown)
		}
		for name := range always {
			if !slices.Contains(shown, name) {
				t.Errorf("%q was there all the time and is not in %q", name, shown)
			}
		}
	})
}

func TestKeysKeepOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int64().Draw(t, "a"), rapid.Int64().Draw(t, "b")
		want := slices.Compare([]int64{a}, []int64{b})
		if strings.Compare(Ascending(a), Ascending(b)) != want || strings.Compare(Descending(b), Descending(a)) != want {
			t.Errorf("%d: %s and %s, %d: %s and %s", a, Ascending(a), Descending(a), b, Ascending(b), Descending(b))
		}
		part := rapid.StringMatching(`[ -~]{0,3}`)
		left, right := []string{part.Draw(t, "a1"), part.Draw(t, "a2")}, []string{part.Draw(t, "b1"), part.Draw(t, "b2")}
		if strings.Compare(Key(left...), Key(right...)) != slices.Compare(left, right) {
			t.Errorf("%q and %q", left, right)
		}
	})
	edges := []int64{math.MinInt64, -1, 0, 1, math.MaxInt64}
	up, down := []string{}, []string{}
	for _, n := range edges {
		up, down = append(up, Ascending(n)), append(down, Descending(n))
	}
	slices.Reverse(down)
	if !slices.IsSorted(up) || !slices.IsSorted(down) {
		t.Errorf("%v: up %q, down %q", edges, up, down)
	}
}
