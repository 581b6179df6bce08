package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/tools/txtar"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/eks-gitops/reconciler/internal/labbin"
	"github.com/eks-gitops/reconciler/pkg/apply"
	"github.com/eks-gitops/reconciler/pkg/engine"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/ledger"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/render"
	"github.com/eks-gitops/reconciler/pkg/render/sops"
	"github.com/eks-gitops/reconciler/pkg/run"
	"github.com/eks-gitops/reconciler/pkg/view"
)

// vault is a repository whose secrets go wherever kustomize and charts can put them.
const vault = `
-- clusters/dev/cluster.yaml --
apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: dev, region: eu-west-1}
-- clusters/dev/reconcile.yaml --
prune: {maxShare: 1}
-- clusters/dev/vault/namespace.yaml --
apiVersion: v1
kind: Namespace
metadata: {name: vault}
-- clusters/dev/vault/plain.yaml --
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data: {password: none, open: seen-by-all}
---
apiVersion: v1
kind: PodTemplate
metadata: {name: web}
template:
  spec:
    containers:
      - {name: web, image: "example.com/web:1", env: [{name: PASSWORD, value: none}]}
-- clusters/dev/vault/kustomization.yaml --
namespace: vault
resources: [namespace.yaml, secret.yaml, plain.yaml]
patches: [{path: patch.yaml}]
configMapGenerator: [{name: env, envs: [app.env]}, {name: files, files: [config.json]}]
secretGenerator: [{name: token, files: [token.txt]}]
replacements:
  - source: {kind: Secret, name: shop-db, fieldPath: stringData.password}
    targets:
      - select: {kind: PodTemplate}
        fieldPaths: ["template.spec.containers.[name=web].env.[name=PASSWORD].value"]
helmCharts:
  - {name: web, releaseName: web, namespace: vault, additionalValuesFiles: [secret.yaml]}
-- clusters/dev/vault/charts/web/Chart.yaml --
apiVersion: v2
name: web
version: 1.2.3
-- clusters/dev/vault/charts/web/templates/all.yaml --
apiVersion: v1
kind: ConfigMap
metadata:
  name: chart
  namespace: vault
  annotations: {checksum/config: {{ .Values.stringData.password | sha256sum }}}
data: {plain: {{ .Values.stringData.password }}, upper: {{ .Values.stringData.password | upper }}}
`

// secretValues are values of the encrypted files.
func secretValues() []string {
	return []string{
		"correct horse battery staple", "postgres://shop:p%40ss@db.example/shop\nsecond line\n", "hidden-1", "hidden-2", "hidden = with equals", "hidden-token-1\n",
	}
}

// canaries are what must be nowhere but in the API server: those values, as they are, encoded, and what a chart makes of them.
func canaries() []string {
	out := []string{
		"p%40ss", "hidden-token-1", "CORRECT HORSE BATTERY STAPLE",
		"c4bbcb1fbec99d65bf59d85c8cb62ee2db963f0fe106f483d9afa73bd4e39a8a", // its SHA-256
	}
	for _, v := range secretValues() {
		out = append(out, v, base64.StdEncoding.EncodeToString([]byte(v)))
	}
	return out
}

// found are the canaries in a text.
func found(text []byte) []string {
	return slices.DeleteFunc(canaries(), func(c string) bool { return !bytes.Contains(text, []byte(c)) })
}

// nowhere is infrastructure that there is none of.
type nowhere struct{}

func (nowhere) Observe(context.Context, gitops.Desired, gitops.Inventory) (gitops.Observed, error) {
	return gitops.Observed{}, nil
}
func (nowhere) Changed() <-chan struct{}                 { return nil }
func (nowhere) Apply(context.Context, plan.Change) error { return nil }
func (nowhere) Ready(context.Context, gitops.Ref) (gitops.Health, error) {
	return gitops.Health{Status: gitops.Ready}, nil
}
func (nowhere) Facts(context.Context) (gitops.Facts, error) { return nil, nil }

// said collects all that is written by a run: log and events.
type said struct {
	mu sync.Mutex
	bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Buffer.Write(b)
}

func (s *said) Emit(e run.Event) {
	body, err := run.EncodeEvent(e)
	if err != nil {
		body = []byte(err.Error())
	}
	_, _ = s.Write(append(body, '\n'))
}

// blind forgets what must be hidden: the control of the search.
type blind struct{ *render.Renderer }

func (b blind) Render(ctx context.Context, s gitops.Snapshot, c gitops.Cluster, f gitops.Facts) (gitops.Desired, error) {
	d, err := b.Renderer.Render(ctx, s, c, f)
	d.Items = slices.Clone(d.Items)
	for i := range d.Items {
		d.Items[i].From.Secrets = nil
	}
	return d, err
}

// vaultTest is a cluster in a real API server, and everything that is written down about it.
type vaultTest struct {
	*testing.T
	files   fstest.MapFS
	target  engine.Target
	client  *dynamic.DynamicClient
	books   *ledger.Ledger
	folder  string
	said    said
	records int
	render.Options
}

func newVaultTest(t *testing.T) *vaultTest {
	t.Helper()
	v := &vaultTest{T: t, files: fstest.MapFS{}, folder: t.TempDir()}
	for _, f := range txtar.Parse([]byte(vault)).Files {
		v.files[f.Name] = &fstest.MapFile{Data: f.Data}
	}
	data := filepath.Join("..", "..", "pkg", "render", "sops", "testdata")
	for to, from := range map[string]string{
		"vault/secret.yaml": "secret.yaml", "vault/app.env": "app.env", "vault/config.json": "config.json", "vault/token.txt": "token.txt", "vault/patch.yaml": "unencrypted-regex.yaml",
	} {
		body, err := os.ReadFile(filepath.Join(data, "encrypted", from))
		if err != nil {
			t.Fatal(err)
		}
		v.files["clusters/dev/"+to] = &fstest.MapFile{Data: body}
	}
	key, err := os.ReadFile(filepath.Join(data, "one.agekey"))
	if err != nil {
		t.Fatal(err)
	}
	v.Options.Keys = func(gitops.Cluster) (sops.Keys, *gitops.Error) {
		return sops.Keys{Age: func() ([]sops.KeyFile, error) { return []sops.KeyFile{{Name: "one", Text: key}}, nil }}, nil
	}
	kubeconfig := labbin.ControlPlane(t)
	objects := apply.New(apply.Options{
		Cluster: "dev", Namespace: "vault-sets", Now: time.Now, Log: v.log(),
		Access: func(context.Context) (apply.Access, error) { return apply.Access{Kubeconfig: kubeconfig}, nil },
	})
	t.Cleanup(objects.Close)
	v.target = engine.Target{Infra: nowhere{}, Facts: nowhere{}, Objects: objects, Redactor: gitops.Redactor{Key: []byte("key of the test")}}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	if v.client, err = dynamic.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	v.books = ledger.New(ledger.Files(v.folder), ledger.Options{})
	return v
}

func (v *vaultTest) log() *slog.Logger {
	return slog.New(slog.NewTextHandler(&v.said, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// pass runs the engine once and returns all that anybody may read of it.
func (v *vaultTest) pass(r engine.Renderer, books *ledger.Ledger, preview bool) run.Record {
	v.Helper()
	e := engine.New(engine.Options{Renderer: r, Ledger: books, Sink: &v.said, Now: time.Now, Log: v.log(), Deadline: time.Minute})
	v.records++
	s := gitops.Snapshot{Revision: gitops.Revision{Hash: fmt.Sprintf("%040d", v.records)}, Files: v.files}
	clusters, err := r.Clusters(v.Context(), s)
	if err != nil || len(clusters) != 1 {
		v.Fatalf("%v, %v", clusters, err)
	}
	record, err := e.RunOnce(v.Context(), engine.Job{Snapshot: s, Cluster: clusters[0], Target: v.target, Cause: "commit", Preview: preview})
	if err != nil {
		v.Fatal(err)
	}
	return record
}

// shown is every form in which a record is shown.
func (v *vaultTest) shown(record run.Record) map[string][]byte {
	v.Helper()
	out := map[string][]byte{}
	for name, f := range map[string]view.Format{"text": view.Text, "json": view.JSON, "yaml": view.YAML, "markdown": view.Markdown} {
		for what, show := range map[string]func() ([]byte, error){
			"plan":   func() ([]byte, error) { return view.Plans(f, view.Options{Verbose: true}, record.Plan) },
			"record": func() ([]byte, error) { return view.Record(f, view.Options{Verbose: true}, record) },
			"history": func() ([]byte, error) {
				return view.History(f, view.Options{Verbose: true}, false, []run.Record{record})
			},
		} {
			body, err := show()
			if err != nil && f == view.Text {
				v.Fatalf("%s as %s: %v", what, name, err)
			}
			out[what+" as "+name] = body
		}
	}
	body, err := json.Marshal(record)
	if err != nil {
		v.Fatal(err)
	}
	out["the stored record"] = body
	return out
}

// stored is every file of the ledger, unpacked.
func (v *vaultTest) stored(folder string) map[string][]byte {
	v.Helper()
	out := map[string][]byte{}
	err := fs.WalkDir(os.DirFS(folder), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(filepath.Join(folder, path))
		if err != nil {
			return err
		}
		if zip, err := gzip.NewReader(bytes.NewReader(body)); err == nil {
			if body, err = io.ReadAll(zip); err != nil {
				return err
			}
		}
		out["ledger file "+path] = body
		return nil
	})
	if err != nil {
		v.Fatal(err)
	}
	return out
}

// silent looks for canaries.
func (v *vaultTest) silent(what string, texts ...map[string][]byte) {
	v.Helper()
	for _, all := range append(texts, map[string][]byte{"log and events": v.said.Bytes()}) {
		for where, text := range all {
			if leaked := found(text); len(leaked) > 0 {
				v.Errorf("%s: %s tells %q", what, where, leaked)
			}
		}
	}
}

func (v *vaultTest) file(name, text string) {
	v.files["clusters/dev/vault/"+name] = &fstest.MapFile{Data: []byte(text)}
}

// TestDecryptedValuesAreOnlyInTheCluster runs everything that writes something down, over a real API server: a preview, a first
// apply, drift, a server that refuses and quotes, values that leave git, and the end of the overlay.
func TestDecryptedValuesAreOnlyInTheCluster(t *testing.T) {
	v := newVaultTest(t)
	renderer := render.New(v.Options)
	v.silent("preview", v.shown(v.pass(renderer, v.books, true)))
	first := v.pass(renderer, v.books, false)
	if first.Outcome != run.Converged {
		t.Fatalf("%s: %v, %+v", first.Outcome, first.Plan.Problems, first.Results)
	}
	v.silent("first apply", v.shown(first), v.stored(v.folder))

	// They arrived, and the search finds what is there.
	live := v.live()
	if missing := slices.DeleteFunc(secretValues(), func(c string) bool { return bytes.Contains(live, []byte(c)) }); len(missing) > 0 || len(found(live)) < len(secretValues()) {
		t.Fatalf("not in the API server: %q", missing)
	}

	// A control: without the marks, each of these would tell.
	control := t.TempDir()
	other := &vaultTest{T: t, files: v.files, target: v.target, Options: v.Options}
	v.drift("drifted-by-hand")
	record := other.pass(blind{render.New(v.Options)}, ledger.New(ledger.Files(control), ledger.Options{}), false)
	for _, all := range []map[string][]byte{other.shown(record), other.stored(control), {"log and events": other.said.Bytes()}} {
		for where, text := range all {
			if strings.HasPrefix(where, "history") || strings.Contains(where, "inventory") || where == "record as markdown" || len(text) == 0 {
				continue // they hold no values at all
			}
			if len(found(text)) == 0 {
				t.Errorf("the control found nothing in %s:\n%s", where, text)
			}
		}
	}

	// Drift: what somebody else put there is hidden with what takes its place.
	v.drift("drifted-by-hand")
	record = v.pass(renderer, v.books, false)
	if got := record.Plan.Summary(); got.Update != 1 || record.Outcome != run.Converged {
		t.Fatalf("%+v, %s", got, record.Outcome)
	}
	v.silent("drift", v.shown(record), v.stored(v.folder))
	if calm := v.pass(renderer, v.books, false); !calm.Plan.Empty() {
		t.Errorf("left to do: %+v", calm.Plan.Changes)
	}

	// A server that refuses a value quotes it.
	whole := string(v.files["clusters/dev/vault/kustomization.yaml"].Data)
	v.file("kustomization.yaml", strings.Replace(whole, "env.[name=PASSWORD].value\"]", "env.[name=PASSWORD].value\", \"template.spec.containers.[name=web].imagePullPolicy\"]\n        options: {create: true}", 1))
	record = v.pass(renderer, v.books, false)
	if len(record.Plan.Problems) == 0 || record.Plan.Problems[0].Reason != gitops.ApplyInvalid {
		t.Fatalf("%v", record.Plan.Problems)
	}
	v.silent("refused", v.shown(record), v.stored(v.folder))

	// What git has no more is hidden as long as it is live.
	v.file("kustomization.yaml", "namespace: vault\nresources: [namespace.yaml, plain.yaml]\n")
	last := v.pass(renderer, v.books, false)
	if got := last.Plan.Summary(); got.Delete == 0 || got.Update == 0 {
		t.Fatalf("%+v", got)
	}
	v.silent("values leave git", v.shown(last), v.stored(v.folder))
	comparison, err := v.books.Diff(t.Context(), "dev", first.ID, last.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []view.Format{view.Text, view.JSON, view.Markdown} {
		body, err := view.Compare(f, view.Options{Verbose: true}, comparison)
		if err != nil && f == view.Text {
			t.Fatal(err)
		}
		v.silent("history diff", map[string][]byte{"comparison": body})
	}
	if left := found(v.live()); len(left) > 0 {
		t.Errorf("still in the API server: %q", left)
	}
}

// live is everything in the namespace, and the values of Secrets decoded.
func (v *vaultTest) live() []byte {
	v.Helper()
	var out []byte
	for _, resource := range []string{"configmaps", "secrets", "podtemplates"} {
		list, err := v.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: resource}).Namespace("vault").List(v.Context(), metav1.ListOptions{})
		if err != nil {
			v.Fatal(err)
		}
		for _, item := range list.Items {
			for _, value := range gitops.StringsAt(item.Object, "data") {
				out = append(append(out, value...), '\n')
				if plain, err := base64.StdEncoding.DecodeString(value); err == nil && resource == "secrets" {
					out = append(append(out, plain...), '\n')
				}
			}
		}
		body, err := list.MarshalJSON()
		if err != nil {
			v.Fatal(err)
		}
		out = append(out, body...)
	}
	return out
}

// drift lets somebody else write.
func (v *vaultTest) drift(value string) {
	v.Helper()
	patch := fmt.Appendf(nil, `{"data":{"password":%q}}`, value)
	_, err := v.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace("vault").
		Patch(v.Context(), "conf", types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "kubectl-edit"})
	if err != nil {
		v.Fatal(err)
	}
}
