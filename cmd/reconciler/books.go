package main

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/eks-gitops/reconciler/pkg/apply"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/ledger"
)

// ledgerPlace is where the ledger is, for messages.
func (a *app) ledgerPlace() string {
	if a.ledger != "" {
		return a.ledger
	}
	return "file:" + filepath.Join(a.stateFolder(), "reconciler")
}

// stateFolder is where programs keep state of this user (XDG Base Directory Specification).
func (a *app) stateFolder() string {
	if dir := a.getenv("XDG_STATE_HOME"); dir != "" {
		return dir
	}
	return filepath.Join(a.getenv("HOME"), ".local", "state")
}

// openLedger opens the store that --ledger names.
func (a *app) openLedger() (*ledger.Ledger, error) {
	kind, where, _ := strings.Cut(a.ledgerPlace(), ":")
	switch {
	case kind == "file" && where != "":
		return ledger.New(ledger.Files(where), ledger.Options{}), nil
	case kind == "memory":
		return ledger.New(ledger.Memory(), ledger.Options{}), nil
	case kind == "kubernetes":
		home, err := a.home(where)
		if err != nil {
			return nil, err
		}
		return ledger.New(home.Blobs("ledger", apply.InSecrets), ledger.Options{}), nil
	}
	return nil, fmt.Errorf("reading --ledger %q: want file:DIR, memory or kubernetes[:NAMESPACE]", a.ledgerPlace())
}

// serviceAccount is the folder of the Pod's own identity in its cluster: ca.crt, namespace and token. Every Pod has it at this
// place, unless the Deployment projects it to another.
func (a *app) serviceAccount(file string) string {
	return filepath.Join(cmp.Or(a.getenv("RECONCILER_SERVICE_ACCOUNT"), "/var/run/secrets/kubernetes.io/serviceaccount"), file)
}

// home is the cluster that the process runs in (or the kubeconfig's current one), for the ledger.
func (a *app) home(namespace string) (*apply.Cluster, error) {
	where := apply.Access{Kubeconfig: a.getenv("KUBECONFIG")}
	if host := a.getenv("KUBERNETES_SERVICE_HOST"); host != "" {
		ca, err := os.ReadFile(a.serviceAccount("ca.crt"))
		if err != nil {
			return nil, fmt.Errorf("reading the cluster's certificate: %w", err)
		}
		own, err := os.ReadFile(a.serviceAccount("namespace"))
		if err != nil {
			return nil, fmt.Errorf("reading the Pod's namespace: %w", err)
		}
		namespace = cmp.Or(namespace, strings.TrimSpace(string(own)))
		where = apply.Access{Server: "https://" + net.JoinHostPort(host, a.getenv("KUBERNETES_SERVICE_PORT")), CA: ca, Token: a.ownToken}
	}
	return apply.New(apply.Options{
		Cluster: "home", Namespace: cmp.Or(namespace, "reconciler-system"), Version: version, Now: a.now, Log: a.log(),
		Access: func(context.Context) (apply.Access, error) { return where, nil },
	}), nil
}

// ownToken is the Pod's own token, which the kubelet renews in place.
func (a *app) ownToken(context.Context) (string, error) {
	token, err := os.ReadFile(a.serviceAccount("token"))
	return strings.TrimSpace(string(token)), err
}

// keys make the redactors of clusters from one secret of this installation, which is never kept where plans and records are.
type keys struct{ master []byte }

func (k keys) redactor(cluster string) gitops.Redactor {
	mac := hmac.New(sha256.New, k.master)
	mac.Write([]byte("redaction of " + cluster))
	return gitops.Redactor{Key: mac.Sum(nil)}
}

// keyStore is where the secret is: a file of the user's, or a Secret of its own in the cluster.
type keyStore interface {
	Get(ctx context.Context, key string) ([]byte, error)
	Put(ctx context.Context, key string, value []byte) error
}

const keyName = "redaction-key"

// openKeys reads the secret, making it at the first use.
func (a *app) openKeys(ctx context.Context) (keys, error) {
	var store keyStore = keyFolder(filepath.Join(a.configFolder(), "reconciler"))
	if kind, where, _ := strings.Cut(a.ledgerPlace(), ":"); kind == "kubernetes" {
		home, err := a.home(where)
		if err != nil {
			return keys{}, err
		}
		store = home.Blobs("keys", apply.InSecrets)
	}
	master, err := store.Get(ctx, keyName)
	if err == nil && len(master) >= 32 {
		return keys{master}, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return keys{}, gitops.Errorf(gitops.LedgerUnavailable, "reading the redaction key: %w", err)
	}
	master = make([]byte, 32)
	_, _ = rand.Read(master) // never fails (crypto/rand since Go 1.24)
	if err := store.Put(ctx, keyName, master); err != nil {
		return keys{}, gitops.Errorf(gitops.LedgerUnavailable, "writing the redaction key: %w", err)
	}
	// Another process may have been faster; what is stored counts.
	if master, err = store.Get(ctx, keyName); err != nil {
		return keys{}, gitops.Errorf(gitops.LedgerUnavailable, "reading the redaction key: %w", err)
	}
	return keys{master}, nil
}

// configFolder is where programs keep configuration of this user (XDG Base Directory Specification).
func (a *app) configFolder() string {
	if dir := a.getenv("XDG_CONFIG_HOME"); dir != "" {
		return dir
	}
	return filepath.Join(a.getenv("HOME"), ".config")
}

// keyFolder keeps secrets in files that only their owner reads.
type keyFolder string

// Get reads one.
func (k keyFolder) Get(_ context.Context, key string) ([]byte, error) {
	return os.ReadFile(filepath.Join(string(k), key))
}

// Put writes one, unless it is there already.
func (k keyFolder) Put(_ context.Context, key string, value []byte) error {
	if err := os.MkdirAll(string(k), 0o700); err != nil {
		return err
	}
	temp, err := os.CreateTemp(string(k), key+".*") // CreateTemp makes files of mode 0600
	if err != nil {
		return err
	}
	_, err = temp.Write(value)
	err = errors.Join(err, temp.Close())
	if err == nil {
		// A link appears whole or not at all, and never replaces what another process wrote.
		if err = os.Link(temp.Name(), filepath.Join(string(k), key)); errors.Is(err, fs.ErrExist) {
			err = nil
		}
	}
	return errors.Join(err, os.Remove(temp.Name()))
}
