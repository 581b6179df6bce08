package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/storage/memory"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// session is the part of git's wire protocol that is needed, as go-git has it for HTTP and shell has it for ssh.
type session interface {
	AdvertisedReferencesContext(ctx context.Context) (*packp.AdvRefs, error)
	UploadPack(ctx context.Context, r *packp.UploadPackRequest) (*packp.UploadPackResponse, error)
	Close() error
}

// wire is an exchange over git's protocol (https://git-scm.com/docs/pack-protocol).
type wire struct {
	session    session
	advertised *packp.AdvRefs
}

func (w *wire) close() { _ = w.session.Close() }

func (w *wire) references(ctx context.Context) (references, error) {
	adv, err := w.session.AdvertisedReferencesContext(ctx)
	if errors.Is(err, transport.ErrEmptyRemoteRepository) {
		return references{}, empty()
	}
	if err != nil {
		return references{}, fmt.Errorf("listing references: %w", err)
	}
	w.advertised = adv
	out := references{at: adv.References, peeled: adv.Peeled}
	if adv.Head != nil {
		out.headAt = *adv.Head
	}
	// symref=HEAD:refs/heads/main, in git since 1.8.5. Without it HEAD is followed by what it points at.
	for _, s := range adv.Capabilities.Get(capability.SymRef) {
		if name, ok := bytes.CutPrefix([]byte(s), []byte("HEAD:")); ok {
			out.head = string(name)
		}
	}
	return out, nil
}

func (w *wire) objects(ctx context.Context, c choice, have plumbing.Hash, into *memory.Storage) error {
	r := packp.NewUploadPackRequestFromCapabilities(w.advertised.Capabilities)
	if w.offers(capability.NoProgress) {
		if err := r.Capabilities.Set(capability.NoProgress); err != nil {
			return err
		}
	}
	switch {
	case !c.want.IsZero():
		r.Wants = []plumbing.Hash{c.want}
	case w.offers(capability.AllowReachableSHA1InWant), w.offers("allow-any-sha1-in-want"):
		r.Wants = []plumbing.Hash{c.commit}
	default:
		// The server hands out only what it lists: the commit is somewhere behind that.
		return w.everything(ctx, r, c.commit, into)
	}
	if w.offers(capability.Shallow) {
		r.Depth = packp.DepthCommits(1)
		if err := r.Capabilities.Set(capability.Shallow); err != nil {
			return err
		}
		if !have.IsZero() {
			r.Shallows = []plumbing.Hash{have}
		}
	}
	if !have.IsZero() {
		r.Haves = []plumbing.Hash{have}
	}
	return w.pack(ctx, r, into)
}

// everything fetches the whole history and checks that it holds the commit.
func (w *wire) everything(ctx context.Context, r *packp.UploadPackRequest, commit plumbing.Hash, into *memory.Storage) error {
	seen := map[plumbing.Hash]bool{}
	for _, h := range w.advertised.References {
		if !seen[h] {
			seen[h] = true
			r.Wants = append(r.Wants, h)
		}
	}
	if err := w.pack(ctx, r, into); err != nil {
		return err
	}
	if into.HasEncodedObject(commit) != nil {
		return gitops.Errorf(gitops.SourceInvalid, "resolving %q: no branch or tag holds this commit", commit)
	}
	return nil
}

func (w *wire) offers(c capability.Capability) bool { return w.advertised.Capabilities.Supports(c) }

// pack carries the request out and adds what comes to into.
func (w *wire) pack(ctx context.Context, r *packp.UploadPackRequest, into *memory.Storage) error {
	response, err := w.session.UploadPack(ctx, r)
	if err != nil {
		return fmt.Errorf("fetching objects: %w", err)
	}
	defer response.Close() //nolint:errcheck // everything was read or failed by then
	var body io.Reader = response
	switch {
	case r.Capabilities.Supports(capability.Sideband64k):
		body = sideband.NewDemuxer(sideband.Sideband64k, response)
	case r.Capabilities.Supports(capability.Sideband):
		body = sideband.NewDemuxer(sideband.Sideband, response)
	}
	if err := packfile.UpdateObjectStorage(into, body); err != nil && !errors.Is(err, packfile.ErrEmptyPackfile) {
		return fmt.Errorf("reading the objects that the server sent: %w", err)
	}
	return nil
}
