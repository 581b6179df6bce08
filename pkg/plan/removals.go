package plan

import (
	_ "embed" // for the table
	"fmt"
	"strconv"
	"strings"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// Removal says from which version of Kubernetes on API servers no longer serve kinds in a version of their group.
type Removal struct {
	APIVersion string
	Kinds      []string
	// Removed is the first minor version (the 25 of 1.25) that does not serve them; Deprecated the first that warns of it, 0 for none.
	Removed, Deprecated int
	// Instead is the apiVersion that takes their place, with the kind if that is another; "" when nothing does. Since is the first minor
	// version that serves it.
	Instead string
	Since   int
	// Note says what else changes.
	Note string
}

// Written is a live object of which a manager wrote fields in a version of the API that goes, last at a time (RFC 3339).
type Written struct {
	Removal
	Ref         gitops.Ref
	Manager, At string
}

//go:embed removals.txt
var removals string

// Removals is all that API servers stopped serving since 1.5, as far as manifests can hold it.
func Removals() []Removal {
	var out []Removal
	for line := range strings.Lines(removals) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		field := strings.Split(line, "|")
		for i := range field {
			if field[i] = strings.TrimSpace(field[i]); field[i] == "-" {
				field[i] = ""
			}
		}
		r := Removal{APIVersion: field[1], Kinds: strings.Split(field[2], ", "), Instead: field[4], Note: field[6]}
		r.Removed, _ = Minor(field[0])
		r.Deprecated, _ = Minor(field[3])
		r.Since, _ = Minor(field[5])
		out = append(out, r)
	}
	return out
}

// Minor is the 36 of "1.36", "v1.36" or "1.36.3"; false for what is no version of Kubernetes.
func Minor(version string) (int, bool) {
	rest, ok := strings.CutPrefix(strings.TrimPrefix(version, "v"), "1.")
	if !ok {
		return 0, false
	}
	text, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 0
}

// Unserved lists the objects of git that Kubernetes 1.minor does not serve (KindMissing), and those that it warns of because a later
// version will not (Deprecated), each with what to write instead.
func Unserved(items []gitops.Item, minor int) []*gitops.Error {
	table := map[[2]string]Removal{}
	for _, r := range Removals() {
		for _, kind := range r.Kinds {
			table[[2]string{r.APIVersion, kind}] = r
		}
	}
	var out []*gitops.Error
	for _, item := range items {
		if item.Ref.Domain != gitops.K8s {
			continue
		}
		version, kind := gitops.StringAt(item.Spec, "apiVersion"), gitops.StringAt(item.Spec, "kind")
		r, known := table[[2]string{version, kind}]
		var e *gitops.Error
		switch {
		case known && r.Removed <= minor:
			e = gitops.Errorf(gitops.KindMissing, "%s %s is not served from Kubernetes 1.%d on", version, kind, r.Removed)
		case known && r.Deprecated > 0 && r.Deprecated <= minor:
			e = gitops.Errorf(gitops.Deprecated, "%s %s is not served from Kubernetes 1.%d on", version, kind, r.Removed)
		default:
			continue
		}
		e.Try = r.Advice(minor)
		out = append(out, e.On(item.Ref).At(item.From))
	}
	return out
}

// Advice says what to write for Kubernetes 1.minor.
func (r Removal) Advice(minor int) string {
	said := "remove it"
	switch {
	case r.Instead == "" && r.Note == "":
		said += ": nothing takes its place"
	case r.Instead != "":
		version, kind, other := strings.Cut(r.Instead, " ")
		said = "write apiVersion: " + version
		if other {
			said += ", kind: " + kind
		}
		if r.Since > minor {
			said += fmt.Sprintf(", which is served from 1.%d on", r.Since)
		}
	}
	if r.Note != "" {
		said += "; " + r.Note
	}
	return said
}
