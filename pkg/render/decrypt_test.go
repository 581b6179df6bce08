package render_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/render"
	"github.com/eks-gitops/reconciler/pkg/render/sops"
)

func encrypted(t *testing.T, name string) *fstest.MapFile {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("sops", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return &fstest.MapFile{Data: body}
}

// keyring gives the test key as long as it is switched on.
type keyring struct {
	t    *testing.T
	off  atomic.Bool
	uses atomic.Int64
	id   string
}

func (k *keyring) keys(gitops.Cluster) (sops.Keys, *gitops.Error) {
	return sops.Keys{ID: k.id, Try: "give it", Age: func() ([]sops.KeyFile, error) {
		k.uses.Add(1)
		if k.off.Load() {
			return nil, nil
		}
		return []sops.KeyFile{{Name: "one", Text: encrypted(k.t, "one.agekey").Data}}, nil
	}}, nil
}

const decrypted = `
-- clusters/dev/shop/kustomization.yaml --
resources: [secret.yaml, plain.yaml]
patches:
  - path: patch.yaml
    target: {kind: ConfigMap, name: plain}
configMapGenerator:
  - name: env
    envs: [app.env]
  - name: files
    files: [config.json, comment.yaml]
secretGenerator:
  - name: token
    files: [token.txt]
replacements:
  - source: {kind: Secret, name: shop-db, fieldPath: stringData.password}
    targets:
      - select: {kind: Deployment, name: web}
        fieldPaths: ["spec.template.spec.containers.[name=web].env.[name=PASSWORD].value"]
-- clusters/dev/shop/plain.yaml --
apiVersion: v1
kind: ConfigMap
metadata: {name: plain}
data: {seen: by all}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: shop}}
spec:
  template:
    spec:
      containers:
        - name: web
          image: example.com/web:1
          env:
            - {name: PASSWORD, value: none}
            - {name: HOST, value: db}
`

func decryptedFiles(t *testing.T) fstest.MapFS {
	t.Helper()
	files := archive(decrypted)
	for at, from := range map[string]string{
		"secret.yaml": "encrypted/secret.yaml", "app.env": "encrypted/app.env", "config.json": "encrypted/config.json", "token.txt": "encrypted/token.txt",
		"comment.yaml": "encrypted/comment.yaml", "patch.yaml": "encrypted/unencrypted-regex.yaml",
	} {
		files["clusters/dev/shop/"+at] = encrypted(t, from)
	}
	return files
}

// lineOf is the first line of a file that begins so.
func lineOf(t *testing.T, files fstest.MapFS, file, begins string) int {
	t.Helper()
	for i, line := range strings.Split(string(files[file].Data), "\n") {
		if strings.HasPrefix(line, begins) {
			return i + 1
		}
	}
	t.Fatalf("%s has no line that begins with %q", file, begins)
	return 0
}

// TestDecryptedValuesAreMarked follows values through everything of kustomize that moves them.
func TestDecryptedValuesAreMarked(t *testing.T) {
	t.Parallel()
	ring := &keyring{t: t}
	files := decryptedFiles(t)
	d := desired(t, render.New(render.Options{Keys: ring.keys}), files, nil)
	if len(d.Problems) > 0 {
		t.Fatal(d.Problems)
	}
	uses := ring.uses.Load()
	defer func() {
		if ring.uses.Load() != uses {
			t.Error("to tell where fields are, files are decrypted again")
		}
	}()
	want := map[string][]string{
		"Secret/shop-db":  {"stringData.password", "stringData.url", "stringData.user"},
		"ConfigMap/plain": {"data.host", "data.password"},
		"ConfigMap/env":   {"data.KEY", "data.PASSWORD", "data.USER"},
		"ConfigMap/files": {`data["comment.yaml"]`, `data["config.json"]`},
		"Secret/token":    {`data["token.txt"]`},
		"Deployment/web":  {"spec.template.spec.containers[*].env[*].value"},
	}
	for _, item := range d.Items {
		name := item.Ref.Name
		for _, generated := range []string{"env", "files", "token"} {
			if strings.HasPrefix(name, generated+"-") {
				name = generated
			}
		}
		key := item.Ref.Kind + "/" + name
		if diff := cmp.Diff(want[key], item.From.Secrets); diff != "" {
			t.Errorf("%s (-want +got):\n%s", key, diff)
		}
		delete(want, key)
		switch key {
		case "Secret/shop-db":
			if item.From.Position != (gitops.Position{File: "clusters/dev/shop/secret.yaml", Line: 2}) {
				t.Errorf("%s is said to be from %v", key, item.From)
			}
			at := gitops.Position{File: "clusters/dev/shop/secret.yaml", Line: lineOf(t, files, "clusters/dev/shop/secret.yaml", "    password:")}
			if got := d.Fields(item.Ref)["stringData.password"]; got != at {
				t.Errorf("the password is said to be from %v, and is from %v", got, at)
			}
			if got := gitops.StringAt(item.Spec, "stringData", "password"); got != "correct horse battery staple" {
				t.Errorf("the password is %q", got)
			}
		case "ConfigMap/plain":
			at := gitops.Position{File: "clusters/dev/shop/patch.yaml", Line: lineOf(t, files, "clusters/dev/shop/patch.yaml", "    password:")}
			if got := d.Fields(item.Ref)["data.password"]; got != at {
				t.Errorf("the password of the patch is said to be from %v, and is from %v", got, at)
			}
		case "ConfigMap/files":
			if got := gitops.StringAt(item.Spec, "data", "comment.yaml"); got != string(encrypted(t, "output/comment.yaml").Data) {
				t.Errorf("a generator does not get what sops decrypts:\n%s", got)
			}
		}
	}
	if len(want) > 0 {
		t.Errorf("not rendered: %v", want)
	}
	text, err := render.YAML(render.Conceal(d), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"correct horse", "hidden", "aGlkZGVu", "postgres"} {
		if strings.Contains(string(text), secret) {
			t.Errorf("%s is shown in\n%s", secret, text)
		}
	}
}

// TestKeysAreAskedForAgain renders with the same files while the key is there and is not.
func TestKeysAreAskedForAgain(t *testing.T) {
	t.Parallel()
	ring, files := &keyring{t: t}, decryptedFiles(t)
	ring.off.Store(true)
	r := render.New(render.Options{Keys: ring.keys})
	d := desired(t, r, files, nil)
	if len(d.Problems) == 0 || d.Problems[0].Reason != gitops.DecryptFailed || d.Overlays[0].Complete {
		t.Fatalf("%v", d.Problems)
	}
	if p := d.Problems[0]; p.From.File != "clusters/dev/shop/secret.yaml" || p.From.Line != 13 || p.From.Overlay != "shop" || p.Try != "give it" {
		t.Errorf("%+v", p)
	}
	ring.off.Store(false)
	if d = desired(t, r, files, nil); len(d.Problems) > 0 {
		t.Fatalf("a key that came is not used: %v", d.Problems)
	}
	before := ring.uses.Load()
	if desired(t, r, files, nil); ring.uses.Load() != before {
		t.Error("files that did not change are decrypted again")
	}
	ring.id = "others"
	if desired(t, r, files, nil); ring.uses.Load() == before {
		t.Error("other keys, and yet the render of before")
	}
}

// TestMarksDoNotDependOnTheRenderBefore changes one file of an overlay that is built in parts: what the encrypted file brings is hidden
// in the new part, too, though that file is not read again.
func TestMarksDoNotDependOnTheRenderBefore(t *testing.T) {
	t.Parallel()
	files := archive("")
	var list strings.Builder
	for i := range 120 {
		name := fmt.Sprintf("c%03d.yaml", i)
		list.WriteString(name + ", ")
		files["clusters/dev/shop/"+name] = &fstest.MapFile{Data: fmt.Appendf(nil, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c%03d}\ndata: {said: nothing}\n", i)}
	}
	files["clusters/dev/shop/kustomization.yaml"] = &fstest.MapFile{Data: []byte("resources: [" + list.String() + "secret.yaml]\n")}
	files["clusters/dev/shop/secret.yaml"] = encrypted(t, "encrypted/secret.yaml")
	ring := &keyring{t: t}
	warm := render.New(render.Options{Keys: ring.keys})
	desired(t, warm, files, nil)
	before := ring.uses.Load()
	files["clusters/dev/shop/c007.yaml"] = &fstest.MapFile{Data: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c007}\ndata: {said: correct horse battery staple}\n")}
	marks := func(d gitops.Desired) map[string][]string {
		out := map[string][]string{}
		for _, item := range d.Items {
			if len(item.From.Secrets) > 0 {
				out[item.Ref.Name] = item.From.Secrets
			}
		}
		return out
	}
	got := marks(desired(t, warm, files, nil))
	if ring.uses.Load() != before {
		t.Error("the encrypted file did not change, and yet it was decrypted again")
	}
	want := map[string][]string{"c007": {"data.said"}, "shop-db": {"stringData.password", "stringData.url", "stringData.user"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, marks(desired(t, render.New(render.Options{Keys: ring.keys}), files, nil))); diff != "" {
		t.Errorf("a first render: %s", diff)
	}
}

const encryptedChart = `
-- clusters/dev/shop/kustomization.yaml --
helmCharts:
  - name: web
    releaseName: web
    additionalValuesFiles: [secret.yaml]
-- clusters/dev/shop/charts/web/Chart.yaml --
apiVersion: v2
name: web
version: 1.2.3
-- clusters/dev/shop/charts/web/values.yaml --
open: seen by all
-- clusters/dev/shop/charts/web/templates/all.yaml --
apiVersion: v1
kind: ConfigMap
metadata:
  name: web
  annotations:
    checksum/config: {{ .Values.stringData.password | sha256sum }}
data:
  open: {{ .Values.open }}
  length: {{ .Values.stringData.password | len | quote }}
  plain: {{ .Values.stringData.password }}
  upper: {{ .Values.stringData.password | upper }}
  short: {{ .Values.stringData.password | trunc 3 | upper }}
  both: {{ printf "%s:%s" .Values.stringData.user .Values.stringData.password | b64enc }}
  config: |
    [web]
    listen = 8080
    password = {{ .Values.stringData.password | upper }}
  listen: listen = 8080
---
apiVersion: v1
kind: ConfigMap
metadata: {name: other}
data: {open: {{ .Values.open }}, app: shop}
`

// TestWhatChartsMakeOfDecryptedValuesIsMarked has a chart whose templates change the values that they get.
func TestWhatChartsMakeOfDecryptedValuesIsMarked(t *testing.T) {
	t.Parallel()
	files := archive(encryptedChart)
	files["clusters/dev/shop/secret.yaml"] = encrypted(t, "encrypted/secret.yaml")
	ring := &keyring{t: t}
	d := desired(t, render.New(render.Options{Keys: ring.keys}), files, nil)
	if len(d.Problems) > 0 {
		t.Fatal(d.Problems)
	}
	got := map[string][]string{}
	for _, item := range d.Items {
		got[item.Ref.Name] = item.From.Secrets
	}
	want := map[string][]string{
		"web": {"data.both", "data.config", "data.plain", "data.short", "data.upper", `metadata.annotations["checksum/config"]`},
		// It is the user's name, too.
		"other": {"data.app"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	// Where nothing can be told from a second render, everything is hidden.
	template := files["clusters/dev/shop/charts/web/templates/all.yaml"]
	strict := `{{ if ne .Values.stringData.password "correct horse battery staple" }}{{ fail "no" }}{{ end }}` + "\n"
	files["clusters/dev/shop/charts/web/templates/all.yaml"] = &fstest.MapFile{Data: append([]byte(strict), template.Data...)}
	d = desired(t, render.New(render.Options{Keys: ring.keys}), files, nil)
	if len(d.Problems) > 0 || len(d.Items) != 2 || !slices.Contains(d.Items[0].From.Secrets, "data.open") || !slices.Contains(d.Items[1].From.Secrets, "data.open") {
		t.Errorf("%v, %+v", d.Problems, d.Items)
	}

	// Without the key, only placeholders are known, which this chart does not take.
	d = desired(t, render.New(render.Options{Keys: ring.keys, Sealed: true}), files, nil)
	if len(d.Problems) != 1 || !errors.Is(d.Problems[0], render.ErrSealed) || d.Problems[0].From.Line != 2 {
		t.Errorf("%v", d.Problems)
	}

	// Nor is a file of the chart itself.
	files["clusters/dev/shop/charts/web/templates/all.yaml"] = template
	files["clusters/dev/shop/charts/web/files/token.txt"] = encrypted(t, "encrypted/token.txt")
	d = desired(t, render.New(render.Options{Keys: ring.keys}), files, nil)
	if len(d.Problems) != 1 || d.Problems[0].Reason != gitops.DecryptFailed || d.Problems[0].From.File != "clusters/dev/shop/charts/web/files/token.txt" {
		t.Errorf("%v", d.Problems)
	}
}

// TestShortValuesAreMarkedWhereTheyMayBe has a user's name of four letters.
func TestShortValuesAreMarkedWhereTheyMayBe(t *testing.T) {
	t.Parallel()
	files := archive(decrypted)
	for _, file := range []string{"secret.yaml", "app.env", "config.json", "token.txt", "comment.yaml", "patch.yaml"} {
		delete(files, "clusters/dev/shop/"+file)
	}
	files["clusters/dev/shop/secret.yaml"] = encrypted(t, "encrypted/secret.yaml")
	files["clusters/dev/shop/kustomization.yaml"] = &fstest.MapFile{Data: []byte(`resources: [secret.yaml, plain.yaml]
replacements:
  - source: {kind: Secret, name: shop-db, fieldPath: stringData.user}
    targets:
      - select: {kind: Deployment, name: web}
        fieldPaths: ["spec.template.spec.containers.[name=web].env.[name=PASSWORD].value"]
`)}
	ring := &keyring{t: t}
	for _, item := range desired(t, render.New(render.Options{Keys: ring.keys}), files, nil).Items {
		want := map[string][]string{
			"shop-db": {"stringData.password", "stringData.url", "stringData.user"},
			// The label app: shop is not one of the fields that something is copied into.
			"web": {"spec.template.spec.containers[*].env[*].value"},
		}[item.Ref.Name]
		if diff := cmp.Diff(want, item.From.Secrets); diff != "" {
			t.Errorf("%s: %s", item.Ref.Name, diff)
		}
	}
}

// TestErrorsDoNotTellDecryptedValues makes kustomize and the parsers complain about decrypted text.
func TestErrorsDoNotTellDecryptedValues(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]string{
		"patch without target": "patches: [{path: secret.yaml, target: {kind: Secret, name: gone}}, {path: unencrypted.yaml}]\nresources: [plain.yaml]\n",
		"twice":                "resources: [secret.yaml, plain.yaml, suffix.yaml]\n",
		"bad replacement":      "resources: [secret.yaml, plain.yaml]\nreplacements: [{source: {kind: Secret, name: shop-db, fieldPath: stringData.password}, targets: [{select: {kind: ConfigMap}, fieldPaths: [data.seen.x]}]}]\n",
		"binary as resource":   "resources: [token.txt]\n",
		"binary as env":        "configMapGenerator: [{name: x, envs: [keystore.p12]}]\n",
	} {
		files := decryptedFiles(t)
		files["clusters/dev/shop/kustomization.yaml"] = &fstest.MapFile{Data: []byte(change)}
		files["clusters/dev/shop/unencrypted.yaml"] = encrypted(t, "encrypted/unencrypted-regex.yaml")
		files["clusters/dev/shop/suffix.yaml"] = encrypted(t, "encrypted/suffix.yaml")
		files["clusters/dev/shop/keystore.p12"] = encrypted(t, "encrypted/keystore.p12")
		ring := &keyring{t: t}
		d := desired(t, render.New(render.Options{Keys: ring.keys}), files, nil)
		if len(d.Problems) == 0 {
			t.Errorf("%s: no problem", name)
		}
		for _, p := range d.Problems {
			for _, secret := range []string{"correct horse", "hidden", "postgres", "with lines"} {
				if strings.Contains(p.Error(), secret) {
					t.Errorf("%s: %v", name, p)
				}
			}
		}
	}
}

// TestConfigIsNotDecrypted has an encrypted patch for a ClusterConfig, which would be shown in plain.
func TestConfigIsNotDecrypted(t *testing.T) {
	t.Parallel()
	files := archive("-- clusters/dev/kustomization.yaml --\nresources: [c.yaml]\npatches: [{path: patch.yaml}]\n-- clusters/dev/c.yaml --\n" + config)
	files["clusters/dev/patch.yaml"] = encrypted(t, "encrypted/unencrypted-regex.yaml")
	ring := &keyring{t: t}
	c := dev(t, render.New(render.Options{Keys: ring.keys}), files)
	if len(c.Problems) != 1 || c.Problems[0].Reason != gitops.DecryptFailed || c.Config.Spec != nil || ring.uses.Load() > 0 {
		t.Errorf("%v", c.Problems)
	}
}
