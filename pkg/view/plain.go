package view

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// heartbeat is how long the plain display stays silent before it names what is slowest.
const heartbeat = 30 * time.Second

// plain prints transitions only, each on a line with its time, and a heartbeat while something takes long.
type plain struct {
	scene
	spoke time.Time
	// held counts the held changes of the passes under way, by cluster and by what is said of them.
	held map[holding]int
}

// holding is what many changes may have in common: a budget that is used up holds every deletion with the same words.
type holding struct{ cluster, said string }

// fewHeld is how many changes that are held for the same reason are named.
const fewHeld = 5

func (d *plain) event(e run.Event) []byte {
	d.take(e)
	p := &page{Options: d.Options}
	d.transition(p, e)
	if p.b.Len() > 0 {
		d.spoke = d.now
	}
	return p.bytes()
}

func (d *plain) transition(p *page, e run.Event) {
	switch e := e.(type) {
	case run.Fetched:
		if e.Error != nil {
			d.say(p, e.Head, p.paint(inkBad, "✗ "+clean(e.Error.Error())))
			return
		}
		d.say(p, e.Head, "fetched "+p.revision(e.Revision))
	case run.Heard:
		if e.Error != nil {
			d.say(p, e.Head, p.paint(inkBad, "✗ "+clean(e.Error.Error())))
			return
		}
		d.say(p, e.Head, clean("the queue "+e.Queue+" can be read again"))
	case run.Planned:
		of := ""
		if !d.several() {
			of = clean(e.Cluster) // until there is a second one, rows do not say whose they are
		}
		d.say(p, e.Head, d.act(e.Cluster).opening(of))
	case run.Started:
		d.row(p, e.Head, "…", inkMove, e.Change, verb(e.Change.Action))
	case run.Progressed:
		c := d.act(e.Cluster).change(run.Result{Change: e.Change, Ref: e.Ref})
		d.row(p, e.Head, "…", inkMove, c, clean(e.Health.String()))
	case run.Settled:
		d.settled(p, e)
	case run.Finished:
		d.rest(p, e.Head)
		d.say(p, e.Head, p.paint(inkOutcome(e.Record.Outcome), closing(d.Options, e.Record)))
		for _, trouble := range troubles(e.Record) {
			p.b.WriteString(Problem(d.Options, trouble))
		}
	}
}

func (d *plain) settled(p *page, e run.Settled) {
	symbol, sink := mark(e.Result.State)
	text := took(e.Result.Began, e.Result.Ended, time.Time{})
	if err := e.Result.Error; err != nil {
		text = string(e.Result.State) + "  " + said(err)
	}
	if e.Result.State == run.ChangeHeld {
		if d.held == nil {
			d.held = map[holding]int{}
		}
		why := holding{e.Cluster, text}
		if d.held[why]++; d.held[why] > fewHeld {
			return
		}
	}
	d.row(p, e.Head, symbol, sink, d.act(e.Cluster).change(e.Result), text)
}

// rest tells of the held changes of a pass that were not named.
func (d *plain) rest(p *page, h run.Head) {
	for _, why := range slices.SortedFunc(maps.Keys(d.held), func(a, b holding) int { return strings.Compare(a.said, b.said) }) {
		if why.cluster != h.Cluster {
			continue
		}
		if more := d.held[why] - fewHeld; more > 0 {
			d.say(p, h, p.paint(inkHold, "⏸ "+count(more, "more change", "more changes"))+" "+why.said)
		}
		delete(d.held, why)
	}
}

// say prints a line with its time and, when there are several, its cluster.
func (d *plain) say(p *page, h run.Head, text string) {
	line := d.clockOnly(h.At) + " "
	if d.several() && h.Cluster != "" {
		line += clean(h.Cluster) + " "
	}
	p.line(line + text)
}

func (d *plain) row(p *page, h run.Head, symbol string, sink ink, c plan.Change, said string) {
	place := d.act(h.Cluster).place(c.ID)
	line := place + " " + p.paint(sink, symbol) + " " + p.paint(inkOf(c.Action), c.Action.Symbol()) + "  " + pad(clean(c.Ref.Label()), 40) + "  " + said
	d.say(p, h, strings.TrimRight(line, " "))
}

func (d *plain) tick(now time.Time) []byte {
	d.see(now)
	if d.spoke.IsZero() || d.now.Sub(d.spoke) < heartbeat {
		return nil
	}
	p := &page{Options: d.Options}
	for _, cluster := range sortedKeys(d.acts) {
		a := d.acts[cluster]
		slow := a.slow()
		if len(slow) == 0 {
			continue
		}
		first := slow[0]
		said := span(d.now.Sub(first.began))
		if first.health.Message != "" {
			said = clean(first.health.String()) + ", " + said
		}
		d.say(p, run.Head{At: d.now, Cluster: cluster}, a.place(first.change.ID)+" … waiting for "+count(len(slow), "change", "changes")+": "+clean(first.change.Ref.Label())+" "+said)
	}
	if p.b.Len() > 0 {
		d.spoke = d.now
	}
	return p.bytes()
}

func (d *plain) end() []byte { return nil }

// clockOnly is the time of day without a date: lines follow one another.
func (o Options) clockOnly(t time.Time) string {
	o.Now = time.Time{}
	return o.clock(t, "15:04:05")
}

// verb says what is being done to a thing.
func verb(a plan.Action) string {
	switch a {
	case plan.Create:
		return "creating"
	case plan.Update:
		return "updating"
	case plan.Replace:
		return "replacing"
	case plan.Delete:
		return "deleting"
	case plan.Wait:
	}
	return "waiting"
}

// quiet prints nothing of runs that go well; what failed is told at the end of its run.
type quiet struct{ scene }

func (d *quiet) event(e run.Event) []byte {
	p := &page{Options: d.Options}
	switch e := e.(type) {
	case run.Fetched:
		if e.Error != nil {
			p.b.WriteString(Problem(d.Options, e.Error))
		}
	case run.Heard:
		if e.Error != nil {
			p.b.WriteString(Problem(d.Options, e.Error))
		}
	case run.Finished:
		for _, trouble := range troubles(e.Record) {
			p.b.WriteString(Problem(d.Options, trouble))
		}
	case run.Planned, run.Started, run.Progressed, run.Settled:
	}
	return p.bytes()
}

func (d *quiet) tick(time.Time) []byte { return nil }
func (d *quiet) end() []byte           { return nil }
