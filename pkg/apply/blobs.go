package apply

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// Blobs keeps bytes under keys in Secrets or ConfigMaps of one namespace. It is a store for the ledger: safe for concurrent
// use, and a blob is stored whole or not at all, since it is one object. A blob holds at most about 1 MiB (etcd's limit).
type Blobs struct {
	cluster *Cluster
	kind    string
	// store tells blobs of one store from others in the namespace.
	store string
}

// Kinds of objects that hold blobs. Secrets are the right choice unless something else must read them: fewer may read them,
// and clusters may encrypt them at rest.
const (
	InSecrets    = "Secret"
	InConfigMaps = "ConfigMap"
)

const (
	storeLabel = "reconciler.eks-gitops.io/store"
	blobKey    = "reconciler.eks-gitops.io/key"
	blobField  = "blob"
)

// Blobs opens a store by name, a DNS label, in Options.Namespace. It performs no I/O.
func (c *Cluster) Blobs(store, kind string) *Blobs {
	return &Blobs{cluster: c, kind: kind, store: store}
}

func (b *Blobs) name(key string) string { return storedName(b.store, key) }

// storedName is the object of a key in a store: readable, and unique by a hash, because keys may hold any character.
func storedName(store, key string) string {
	sum := sha256.Sum256([]byte(key))
	slug := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(key))
	return store + "-" + strings.Trim(slug[:min(len(slug), 100)], "-") + "-" + hex.EncodeToString(sum[:6])
}

func (b *Blobs) connect(ctx context.Context) (*link, kind, error) {
	l, _, err := b.cluster.connect(ctx)
	if err != nil {
		return nil, kind{}, gitops.AsError(gitops.LedgerUnavailable, err)
	}
	gvk := schema.GroupVersionKind{Version: "v1", Kind: b.kind}
	if err := l.catalog.refresh(ctx, catalogAge, gvk); err != nil {
		return nil, kind{}, failure(err, gitops.LedgerUnavailable, scrubber{})
	}
	k, ok := l.catalog.kind(gvk)
	if !ok {
		return nil, kind{}, gitops.Errorf(gitops.LedgerUnavailable, "the API server does not serve %s", b.kind)
	}
	return l, k, nil
}

// Get returns the blob of a key; errors.Is(err, fs.ErrNotExist) when there is none.
func (b *Blobs) Get(ctx context.Context, name string) ([]byte, error) {
	l, k, err := b.connect(ctx)
	if err != nil {
		return nil, err
	}
	u, err := l.get(ctx, k, key{k.GroupKind(), b.cluster.Namespace, b.name(name)})
	if err != nil {
		return nil, failure(fmt.Errorf("reading %s: %w", name, err), gitops.LedgerUnavailable, scrubber{mute: true})
	}
	if u == nil || u.GetAnnotations()[blobKey] != name {
		return nil, fmt.Errorf("reading %s: %w", name, fs.ErrNotExist)
	}
	field := "data"
	if b.kind == InConfigMaps {
		field = "binaryData"
	}
	blob, err := base64.StdEncoding.DecodeString(gitops.StringAt(u.Object, field, blobField))
	if err != nil {
		return nil, gitops.Errorf(gitops.LedgerUnavailable, "reading %s: it is damaged", name)
	}
	return blob, nil
}

// Put stores the blob of a key. A nil blob deletes; deleting what is not there is no error.
func (b *Blobs) Put(ctx context.Context, name string, blob []byte) error {
	l, k, err := b.connect(ctx)
	if err != nil {
		return err
	}
	if blob == nil {
		err := l.resource(k, b.cluster.Namespace).Delete(ctx, b.name(name), metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return failure(fmt.Errorf("deleting %s: %w", name, err), gitops.LedgerUnavailable, scrubber{mute: true})
		}
		return nil
	}
	t := gitops.Tree{
		"apiVersion": "v1", "kind": b.kind,
		"metadata": gitops.Tree{
			"name": b.name(name), "namespace": b.cluster.Namespace,
			"labels":      gitops.Tree{storeLabel: b.store, "app.kubernetes.io/managed-by": "reconciler"},
			"annotations": gitops.Tree{blobKey: name},
		},
	}
	content := gitops.Tree{blobField: base64.StdEncoding.EncodeToString(blob)}
	if b.kind == InConfigMaps {
		t["binaryData"] = content
	} else {
		t["data"], t["type"] = content, "Opaque"
	}
	w, e := b.cluster.internal(l, t)
	if e != nil {
		return e
	}
	_, err = l.patch(ctx, w, w.payload, true, false)
	if apierrors.IsNotFound(err) {
		if err = b.cluster.ensureNamespace(ctx, l); err == nil {
			_, err = l.patch(ctx, w, w.payload, true, false)
		}
	}
	if err != nil {
		return failure(fmt.Errorf("storing %s: %w", name, err), gitops.LedgerUnavailable, scrubber{mute: true})
	}
	return nil
}

// List returns the keys that begin with the prefix, sorted. It reads names only, not the blobs.
func (b *Blobs) List(ctx context.Context, prefix string) ([]string, error) {
	l, k, err := b.connect(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	o := metav1.ListOptions{LabelSelector: storeLabel + "=" + b.store, Limit: page}
	for {
		list, err := l.names.Resource(k.gvr()).Namespace(b.cluster.Namespace).List(ctx, o)
		if err != nil {
			return nil, failure(fmt.Errorf("listing %s: %w", prefix, err), gitops.LedgerUnavailable, scrubber{mute: true})
		}
		for i := range list.Items {
			if name := list.Items[i].GetAnnotations()[blobKey]; name != "" && strings.HasPrefix(name, prefix) {
				out = append(out, name)
			}
		}
		if o.Continue = list.GetContinue(); o.Continue == "" {
			break
		}
	}
	slices.Sort(out)
	return out, nil
}
