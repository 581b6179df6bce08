package main

import "testing"

func TestPercentile(t *testing.T) {
	values := []float64{5, 1, 4, 2, 3}
	for percent, want := range map[int]float64{1: 1, 20: 1, 21: 2, 50: 3, 99: 5, 100: 5} {
		if got := percentile(values, percent); got != want {
			t.Errorf("percentile %d is %v, want %v", percent, got, want)
		}
	}
	if got := percentile(nil, 50); got != 0 {
		t.Errorf("of nothing it is %v", got)
	}
}

func TestVerdicts(t *testing.T) {
	slow, quick := []result{{Seconds: 2}}, []result{{Seconds: 1}}
	for name, c := range map[string]struct {
		f       figure
		ratio   float64
		verdict string
	}{
		"below its bar":       {compared(noChange, 1000, slow, rawLists, quick), 2, "reached"},
		"above its bar":       {compared(noChange, 1000, slow, fluxApplies, quick), 2, "MISSED"},
		"without a bar":       {compared(noChange, 5000, slow, fluxApplies, quick), 2, ""},
		"within its limit":    {limited("x", 1, 140, 150, "MB", 1), 140. / 150, "reached"},
		"beyond its limit":    {limited("x", 1, 300, 150, "MB", 1), 2, "MISSED"},
		"nothing, as allowed": {limited("x", 1, 0, 0, "requests", 1), 0, "reached"},
		"more than nothing":   {limited("x", 1, 3, 0, "requests", 1), 3, "MISSED"},
	} {
		if c.f.Ratio != c.ratio || c.f.Verdict != c.verdict {
			t.Errorf("%s: ratio %v %q, want %v %q", name, c.f.Ratio, c.f.Verdict, c.ratio, c.verdict)
		}
	}
}

// TestBarsAreMeasured finds a bar that no row would ever meet.
func TestBarsAreMeasured(t *testing.T) {
	measured := map[[2]string]bool{
		{rendering, kustomizeBuild}: true, {rendering, oursAtThousand}: true, {rerendering, oursCold}: true,
	}
	for _, c := range []comparison{{all: true}, {fresh: true}} {
		for _, turn := range c.turns(1000, 10) {
			for _, s := range turn {
				measured[[2]string{s.row, s.peer}] = true
			}
		}
	}
	for _, b := range bars() {
		if !measured[[2]string{b.row, b.peer}] {
			t.Errorf("nothing measures %s beside %s", b.row, b.peer)
		}
	}
}

func TestChanged(t *testing.T) {
	in, err := objects(250, space)
	if err != nil || len(in) != 250 {
		t.Fatalf("%d objects, error %v", len(in), err)
	}
	out, count := changed(in)
	differ := 0
	for i := range out {
		if len(out[i].GetAnnotations()) != len(in[i].GetAnnotations()) {
			differ++
		}
	}
	if count != 3 || differ != count {
		t.Errorf("%d objects differ and %d are said to, want 3", differ, count)
	}
}
