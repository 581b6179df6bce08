package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	encode "sigs.k8s.io/yaml"
)

// space is the namespace of the objects.
const space = "bench"

// perApp is how many objects an app has.
const perApp = 5

// app is five objects: two ConfigMaps, a ServiceAccount, a Service and a Deployment of no replicas.
func app(i int) string {
	return fmt.Sprintf(`apiVersion: v1
kind: ConfigMap
metadata: {name: a%[1]d}
data: {app: "%[1]d", mode: fast}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: b%[1]d}
data: {app: "%[1]d", text: "some more text than that"}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: app%[1]d}
---
apiVersion: v1
kind: Service
metadata: {name: app%[1]d}
spec: {selector: {app: "app%[1]d"}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: app%[1]d}
spec:
  replicas: 0
  selector: {matchLabels: {app: app%[1]d}}
  template:
    metadata: {labels: {app: app%[1]d}}
    spec:
      serviceAccountName: app%[1]d
      containers:
      - {name: app, image: "registry.example/app:%[1]d", ports: [{containerPort: 8080}], env: [{name: A, value: "1"}], resources: {requests: {cpu: 50m, memory: 64Mi}}}
`, i)
}

// objects are count objects of apps, in a namespace.
func objects(count int, namespace string) ([]*unstructured.Unstructured, error) {
	var text strings.Builder
	for i := range count / perApp {
		text.WriteString("---\n" + app(i))
	}
	found, err := decode(strings.NewReader(text.String()))
	for _, o := range found {
		o.SetNamespace(namespace)
	}
	return found, err
}

// namespaceObject is a namespace as git says it.
func namespaceObject(name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name}}}
}

// stack is the addon kube-prometheus of this repository, as kustomize builds it.
func stack(root string) ([]*unstructured.Unstructured, error) {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(root, "addons", "kube-prometheus"))
	if err != nil {
		return nil, err
	}
	text, err := built.AsYaml()
	if err != nil {
		return nil, err
	}
	return decode(bytes.NewReader(text))
}

// changedEvery is the distance of the objects that differ in what `diff with 1 % changed` is about.
const changedEvery = 100

// changed are the objects with an annotation on every hundredth, and how many have it.
func changed(in []*unstructured.Unstructured) ([]*unstructured.Unstructured, int) {
	out, count := make([]*unstructured.Unstructured, len(in)), 0
	for i, o := range in {
		o = o.DeepCopy()
		if i%changedEvery == 0 {
			notes := o.GetAnnotations()
			if notes == nil {
				notes = map[string]string{}
			}
			notes["bench.example.com/changed"] = "yes"
			o.SetAnnotations(notes)
			count++
		}
		out[i] = o
	}
	return out, count
}

// write puts objects into a file.
func write(file string, objects []*unstructured.Unstructured) error {
	var text bytes.Buffer
	for _, o := range objects {
		body, err := encode.Marshal(o.Object)
		if err != nil {
			return err
		}
		text.WriteString("---\n")
		text.Write(body)
	}
	return os.WriteFile(file, text.Bytes(), 0o600)
}

// read is the opposite of write.
func read(file string) ([]*unstructured.Unstructured, error) {
	in, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }()
	return decode(in)
}

func decode(in io.Reader) ([]*unstructured.Unstructured, error) {
	decoder := yaml.NewYAMLOrJSONDecoder(in, 4096)
	var out []*unstructured.Unstructured
	for {
		raw, u := runtime.RawExtension{}, &unstructured.Unstructured{}
		err := decoder.Decode(&raw)
		if err == io.EOF { //nolint:errorlint // the decoder returns it as it is
			return out, nil
		}
		// Whole numbers are int64 in unstructured objects; encoding/json would make them float64.
		if err == nil && len(raw.Raw) > 0 {
			err = utiljson.Unmarshal(raw.Raw, &u.Object)
		}
		if err != nil {
			return nil, err
		}
		if len(u.Object) > 0 {
			out = append(out, u)
		}
	}
}

// kustomization writes count objects as one file an app and a kustomization that lists them all and sets the namespace.
func kustomization(dir string, count int, namespace string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var list strings.Builder
	list.WriteString("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: " + namespace + "\nresources:\n")
	for i := range count / perApp {
		name := fmt.Sprintf("app%d.yaml", i)
		list.WriteString("- " + name + "\n")
		if err := os.WriteFile(filepath.Join(dir, name), []byte(app(i)), 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(list.String()), 0o600)
}
