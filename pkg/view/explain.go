package view

import "github.com/eks-gitops/reconciler/pkg/gitops"

// Explain prints the page of a reason; false means that there is no such reason.
func Explain(o Options, r gitops.Reason) ([]byte, bool) {
	e, ok := gitops.Explain(r)
	if !ok {
		return nil, false
	}
	p := &page{Options: o}
	p.line(p.paint(inkStrong, string(e.Reason)) + ": " + e.Title)
	p.gap()
	p.row(2, "what it means", inkFaint, 18, cell{inkNone, e.Meaning})
	p.row(2, "what to do", inkFaint, 18, cell{inkNone, e.Try})
	return p.bytes(), true
}

// Reasons lists every reason with its title.
func Reasons(o Options) []byte {
	p := &page{Options: o}
	for _, e := range gitops.Explanations() {
		p.row(0, string(e.Reason), inkNone, 20, cell{inkNone, e.Title})
	}
	return p.bytes()
}
