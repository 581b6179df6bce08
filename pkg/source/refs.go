package source

import (
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/go-git/go-git/v5/plumbing"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// references are what a server lists.
type references struct {
	// at maps full names ("refs/heads/main") to what they point at.
	at map[string]plumbing.Hash
	// peeled maps names of annotated tags to the commits behind them.
	peeled map[string]plumbing.Hash
	// head is the branch that the server's HEAD names, if it tells; headAt is where HEAD points.
	head   string
	headAt plumbing.Hash
}

// commit is the commit behind a name.
func (r references) commit(name string) plumbing.Hash {
	if h, ok := r.peeled[name]; ok {
		return h
	}
	return r.at[name]
}

// choice is what a Rev resolved to.
type choice struct {
	// ref is the word for people: a branch, a tag or the commit.
	ref    string
	commit plumbing.Hash
	// want is what to ask the server for: the tag object of an annotated tag, else the commit. Zero when the server lists
	// nothing that is this commit.
	want plumbing.Hash
}

func fullHash(rev string) bool { return regexp.MustCompile(`^[0-9a-fA-F]{40}$`).MatchString(rev) }

// pick resolves a Rev: a full reference, then a branch, then a tag, then a commit id, then a semver range over tags. A branch
// goes before a tag of the same name, as `git checkout` has it.
func (r references) pick(rev string) (choice, error) {
	if rev == "" || rev == "HEAD" {
		return r.pickHead()
	}
	for _, name := range []string{rev, "refs/heads/" + rev, "refs/tags/" + rev} {
		if h, ok := r.at[name]; ok && strings.HasPrefix(name, "refs/") {
			return choice{ref: short(rev), commit: r.commit(name), want: h}, nil
		}
	}
	if fullHash(rev) {
		return r.pickCommit(plumbing.NewHash(rev)), nil
	}
	if c, ok := r.pickVersion(rev); ok {
		return c, nil
	}
	return choice{}, r.missing(rev)
}

func (r references) pickHead() (choice, error) {
	if h, ok := r.at[r.head]; ok {
		return choice{ref: short(r.head), commit: h, want: h}, nil
	}
	if !r.headAt.IsZero() {
		return choice{ref: "HEAD", commit: r.headAt, want: r.headAt}, nil
	}
	if len(r.at) == 0 {
		return choice{}, empty()
	}
	return choice{}, gitops.Errorf(gitops.SourceInvalid, "resolving HEAD: the repository's HEAD names a branch that does not exist; it has %s", r.known())
}

func (r references) pickCommit(h plumbing.Hash) choice {
	c := choice{ref: h.String(), commit: h}
	for name, at := range r.at {
		if at == h || r.commit(name) == h {
			c.want = at
			return c
		}
	}
	return c
}

// pickVersion finds the highest tag in a semver range. Pre-releases count only when the range names one.
func (r references) pickVersion(rev string) (choice, bool) {
	within, err := semver.NewConstraint(rev)
	if err != nil {
		return choice{}, false
	}
	var best *semver.Version
	var name string
	for _, full := range r.sorted() {
		tag, ok := strings.CutPrefix(full, "refs/tags/")
		if !ok {
			continue
		}
		v, err := semver.NewVersion(tag)
		if err != nil || !within.Check(v) {
			continue
		}
		if best == nil || v.GreaterThan(best) {
			best, name = v, full
		}
	}
	if best == nil {
		return choice{}, false
	}
	return choice{ref: short(name), commit: r.commit(name), want: r.at[name]}, true
}

func (r references) missing(rev string) error {
	switch {
	case len(r.at) == 0:
		return empty()
	case regexp.MustCompile(`^[0-9a-fA-F]{7,39}$`).MatchString(rev):
		return another(gitops.Errorf(gitops.SourceInvalid, "resolving %q: there is no branch or tag of this name; a commit is named by all its 40 digits", rev))
	}
	if _, err := semver.NewConstraint(rev); err == nil {
		return another(gitops.Errorf(gitops.SourceInvalid, "resolving %q: there is no branch or tag of this name, and no tag is in this semver range; there is %s", rev, r.known()))
	}
	return another(gitops.Errorf(gitops.SourceInvalid, "resolving %q: there is no branch or tag of this name, and it is neither a commit nor a semver range; there is %s", rev, r.known()))
}

// another advises to follow another revision: nothing in the repository is wrong.
func another(e *gitops.Error) *gitops.Error {
	e.Try = "git ls-remote shows what is there: reconciler --rev BRANCH, TAG or COMMIT"
	return e
}

func empty() error {
	e := gitops.Errorf(gitops.SourceInvalid, "the repository has no commits")
	e.Try = "push a first commit"
	return e
}

// known lists some names for an error message.
func (r references) known() string {
	const few = 8
	var names []string
	for _, full := range r.sorted() {
		if strings.HasPrefix(full, "refs/heads/") || strings.HasPrefix(full, "refs/tags/") {
			names = append(names, short(full))
		}
	}
	switch {
	case len(names) == 0:
		return "no branch and no tag"
	case len(names) > few:
		return strings.Join(names[:few], ", ") + " ..."
	}
	return strings.Join(names, ", ")
}

func (r references) sorted() []string {
	names := make([]string, 0, len(r.at))
	for name := range r.at {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func short(name string) string {
	for _, prefix := range []string{"refs/heads/", "refs/tags/"} {
		if s, ok := strings.CutPrefix(name, prefix); ok {
			return s
		}
	}
	return name
}
