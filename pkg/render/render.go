package render

import (
	"context"
	"maps"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/render/chart"
	"github.com/eks-gitops/reconciler/pkg/render/sops"
)

// Options tune a Renderer; the zero value is right.
type Options struct {
	// Concurrency bounds the overlays rendered at once; zero means GOMAXPROCS.
	Concurrency int
	// Charts says how Helm charts of other repositories are fetched.
	Charts chart.Options
	// Keys gives the keys that encrypted files of a cluster are opened with; nil means that there are none.
	Keys func(gitops.Cluster) (sops.Keys, *gitops.Error)
	// Sealed opens no encrypted file: placeholders stand for what is encrypted. Nobody is asked for a key.
	Sealed bool
}

// Renderer implements engine.Renderer. It remembers the last render of every overlay with all that it depended on. It is safe
// for concurrent use.
type Renderer struct {
	keys   func(gitops.Cluster) (sops.Keys, *gitops.Error)
	sealed bool
	// slots bounds concurrent renders of all clusters together.
	slots chan struct{}
	// portion is how many objects of a plain kustomization are built together: few enough to be fast, enough to pay for setting
	// kustomize up.
	portion int
	// schema guards kustomize's OpenAPI schema, which is one per process: an overlay that brings its own renders alone.
	schema sync.RWMutex
	puller *chart.Puller

	mu       sync.Mutex
	rendered map[string]*rendered
	// seen are the revisions, by overlay, of which the last render is known to be; assembled is by cluster.
	seen      map[string]string
	assembled map[string]assembly
}

// rendered is what one overlay came to.
type rendered struct {
	// asked and facts are what it depended on.
	asked map[string]string
	facts gitops.Facts
	all   bool

	items    []gitops.Item
	problems []*gitops.Error
	pending  bool
	// folders are the kustomizations that took part.
	folders []string
	// read are the files that took part.
	read map[string]bool
	// files are the resource files without faults; what their documents hold is not remembered.
	files map[string]resourceFile
	// parts are the items of an overlay that was built in parts, by what each part depends on.
	parts map[gitops.Digest][]gitops.Item
	// templates are those of Helm charts that made objects, by the folder of the kustomization that has the charts; nil when there are
	// none. They depend on kubernetes, the version of the cluster.
	templates  map[string][]string
	kubernetes string
	// opened are the encrypted files that took part, by where they really are, and keys names the keys that opened them.
	opened map[string]*opened
	keys   string
	// retry says that a chart could not be fetched, or a file not be decrypted: the next render tries again.
	retry bool
}

// New makes a Renderer.
func New(o Options) *Renderer {
	if o.Concurrency <= 0 {
		o.Concurrency = runtime.GOMAXPROCS(0)
	}
	if o.Keys == nil {
		o.Keys = func(gitops.Cluster) (sops.Keys, *gitops.Error) { return sops.Keys{}, nil }
	}
	return &Renderer{
		keys: o.Keys, sealed: o.Sealed,
		slots: make(chan struct{}, o.Concurrency), portion: 50, puller: chart.NewPuller(o.Charts),
		rendered: map[string]*rendered{}, seen: map[string]string{}, assembled: map[string]assembly{},
	}
}

// Render implements engine.Renderer. What it gives is shared with later renders and must not be changed.
func (r *Renderer) Render(ctx context.Context, s gitops.Snapshot, c gitops.Cluster, f gitops.Facts) (gitops.Desired, error) {
	results := make([]*rendered, len(c.Overlays))
	with := sync.OnceValue(func() ring {
		keys, failed := r.keys(c)
		return ring{keys, failed}
	})
	var all sync.WaitGroup
	for i, overlay := range c.Overlays {
		all.Go(func() { results[i] = r.overlay(ctx, s, c, overlay, f, with) })
	}
	all.Wait()
	if err := ctx.Err(); err != nil {
		return gitops.Desired{}, gitops.Errorf(gitops.Interrupted, "rendering %s: %w", c.Folder, err)
	}
	r.forget(c)
	r.mu.Lock()
	whole, known := r.assembled[c.Folder]
	r.mu.Unlock()
	if !known || !slices.Equal(whole.of, results) || whole.desired.Cluster != c.Name {
		whole = assembly{results, assemble(c, results)}
		r.mu.Lock()
		r.assembled[c.Folder] = whole
		r.mu.Unlock()
	}
	desired := whole.desired
	l := &locator{files: s.Files, cluster: c, results: results, all: desired.Items, builders: map[string]*builder{}, texts: map[string]*resourceText{}}
	desired.Revision, desired.Fields = s.Revision, l.fields
	return desired, nil
}

// assembly is what the overlays of a cluster came to together.
type assembly struct {
	of      []*rendered
	desired gitops.Desired
}

func assemble(c gitops.Cluster, results []*rendered) gitops.Desired {
	desired := gitops.Desired{Cluster: c.Name}
	for i, overlay := range c.Overlays {
		result := results[i]
		desired.Overlays = append(desired.Overlays, gitops.Overlay{Name: overlay, Complete: len(result.problems) == 0, Pending: result.pending})
		desired.Problems = append(desired.Problems, result.problems...)
		desired.Items = append(desired.Items, result.items...)
	}
	scope(desired.Items)
	return withoutDuplicates(desired)
}

// overlay renders one overlay, or remembers it: for the same revision at once, for another after a look at what was read.
func (r *Renderer) overlay(ctx context.Context, s gitops.Snapshot, c gitops.Cluster, overlay string, facts gitops.Facts, with func() ring) *rendered {
	select {
	case <-ctx.Done():
		return &rendered{}
	case r.slots <- struct{}{}:
	}
	defer func() { <-r.slots }()
	folder := path.Join(c.Folder, overlay)
	r.mu.Lock()
	known, seen := r.rendered[folder], r.seen[folder]
	r.mu.Unlock()
	if known != nil && !r.sealed && len(known.opened) > 0 && known.keys != with().keys.ID {
		known = nil
	}
	now := s.Revision.Hash
	if known != nil && known.holds(c, facts) && (now != "" && now == seen || same(s.Files, known.asked)) {
		r.mu.Lock()
		r.seen[folder] = now
		r.mu.Unlock()
		return known
	}
	b := &builder{Renderer: r, view: newView(s.Files), folder: folder, overlay: overlay, cluster: c, facts: facts, before: known}
	b.pull = func(from chart.Source) ([]byte, *gitops.Error) { return r.puller.Pull(ctx, from) }
	b.view.secrets = newDecrypter(s.Files)
	b.view.secrets.unlock(ctx, with, r.sealed)
	result := b.again(known)
	if len(result.opened) > 0 && !r.sealed {
		result.keys = with().keys.ID
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rendered[folder], r.seen[folder] = result, now
	return result
}

// again builds an overlay that was built before, or not (nil).
func (b *builder) again(known *rendered) *rendered {
	if known != nil {
		b.view.secrets.before = known.opened
	}
	result := b.build()
	result.opened = b.view.secrets.all()
	if known != nil && result.parts == nil && len(result.problems) > 0 {
		// What is broken now is mended next: what was good so far will be wanted again.
		result.parts = known.parts
	}
	return result
}

// holds reports whether the cluster and the facts are those that were asked for.
func (k *rendered) holds(c gitops.Cluster, facts gitops.Facts) bool {
	if k.retry || k.templates != nil && k.kubernetes != kubernetesOf(c) {
		return false
	}
	if k.all && !maps.Equal(k.facts, facts) {
		return false
	}
	for key, before := range k.facts {
		if now, known := facts[key]; now != before || !known && before != "" {
			return false
		}
	}
	return true
}

// forget drops overlays that a cluster no longer has.
func (r *Renderer) forget(c gitops.Cluster) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for folder := range r.rendered {
		overlay, ours := strings.CutPrefix(folder, c.Folder+"/")
		if ours && !slices.Contains(c.Overlays, overlay) {
			delete(r.rendered, folder)
			delete(r.seen, folder)
		}
	}
}

// withoutDuplicates takes out objects that are rendered twice: neither is applied, and nothing of their overlays is pruned.
func withoutDuplicates(d gitops.Desired) gitops.Desired {
	places := map[gitops.Ref][]gitops.Origin{}
	for _, item := range d.Items {
		places[item.Ref] = append(places[item.Ref], item.From)
	}
	partial, told := map[string]bool{}, map[gitops.Ref]bool{}
	kept := d.Items[:0]
	for _, item := range d.Items {
		at := places[item.Ref]
		if len(at) == 1 {
			kept = append(kept, item)
			continue
		}
		partial[item.From.Overlay] = true
		if !told[item.Ref] {
			told[item.Ref] = true
			d.Problems = append(d.Problems, duplicate(item.Ref, at))
		}
	}
	d.Items = kept
	for i := range d.Overlays {
		d.Overlays[i].Complete = d.Overlays[i].Complete && !partial[d.Overlays[i].Name]
	}
	return d
}

func duplicate(ref gitops.Ref, at []gitops.Origin) *gitops.Error {
	var others []string
	for _, from := range at[1:] {
		where := from.Position.String()
		if from.Overlay != at[0].Overlay {
			where += " (overlay " + from.Overlay + ")"
		}
		others = append(others, where)
	}
	from := at[0]
	from.Fields = nil
	return gitops.Errorf(gitops.DuplicateObject, "it is also rendered from %s; neither is applied", strings.Join(others, " and ")).On(ref).At(from)
}
