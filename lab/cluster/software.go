package cluster

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/template"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// Software is an add-on, or what EKS puts into a new cluster by itself.
type Software struct {
	// Name is EKS's name of the add-on ("vpc-cni"). Names without a manifest here are installed as nothing.
	Name, Version, Namespace string
	// RoleARN is the IAM role of the add-on's service account.
	RoleARN string
	// Configuration is JSON or YAML by the add-on's schema; replicaCount is what has an effect here.
	Configuration string
}

//go:embed software/*.yaml
var manifests embed.FS

// always is installed in every cluster, and first.
const always = "base"

// manager is EKS's own field manager.
const manager = "eks"

// managedBy marks what may be removed again.
const managedBy = "app.kubernetes.io/managed-by"

// settleSoftware installs what is wanted, changes what differs from what was installed last, and removes the rest. Like EKS
// it does not take back what users change in between.
func (c *Cluster) settleSoftware(ctx context.Context) error {
	c.mu.Lock()
	wanted := append([]Software{{Name: always}}, c.software...)
	known := c.software != nil
	c.mu.Unlock()
	if !known {
		return nil
	}
	var errs []error
	present := map[string]bool{}
	for _, s := range wanted {
		present[s.Name] = true
		if err := c.install(ctx, s); err != nil {
			errs = append(errs, fmt.Errorf("installing %s: %w", s.Name, err))
		}
	}
	for _, name := range installable() {
		if !present[name] {
			if err := c.uninstall(ctx, name); err != nil {
				errs = append(errs, fmt.Errorf("removing %s: %w", name, err))
			}
		}
	}
	return errors.Join(errs...)
}

func installable() []string {
	entries, err := manifests.ReadDir("software")
	if err != nil {
		return nil
	}
	var names []string
	for _, entry := range entries {
		names = append(names, strings.TrimSuffix(entry.Name(), ".yaml"))
	}
	return names
}

func (c *Cluster) install(ctx context.Context, s Software) error {
	objects, err := c.render(s)
	if err != nil || len(objects) == 0 {
		return err
	}
	sum, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if c.applied[s.Name] == string(sum) {
		return nil
	}
	for _, object := range objects {
		client, err := c.resource(object)
		if err != nil {
			return err
		}
		if _, err := client.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: manager, Force: true}); err != nil {
			return err
		}
	}
	c.applied[s.Name] = string(sum)
	return nil
}

// absent in Cluster.applied says that it was made sure that nothing is there.
const absent = "absent"

func (c *Cluster) uninstall(ctx context.Context, name string) error {
	if c.applied[name] == absent {
		return nil
	}
	objects, err := c.render(Software{Name: name, Version: "any"})
	if err != nil {
		return err
	}
	for _, object := range objects {
		client, err := c.resource(object)
		if err != nil {
			return err
		}
		live, err := client.Get(ctx, object.GetName(), metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return err
		}
		if live.GetLabels()[managedBy] != "EKS" {
			continue
		}
		if err := client.Delete(ctx, object.GetName(), metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)}); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	c.applied[name] = absent
	return nil
}

// values are what manifests can say.
type values struct {
	Software
	Region, DNS string
	Replicas    int
}

// render gives the objects of a piece of software; none if there is no manifest of that name.
func (c *Cluster) render(s Software) ([]*unstructured.Unstructured, error) {
	text, err := manifests.ReadFile("software/" + s.Name + ".yaml")
	if err != nil {
		return nil, nil //nolint:nilerr // software without a manifest is installed as nothing
	}
	if s.Namespace == "" {
		s.Namespace = "kube-system"
	}
	parsed, err := template.New(s.Name).Parse(string(text))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, values{Software: s, Region: c.options.Region, DNS: c.options.DNS, Replicas: replicas(s.Configuration)}); err != nil {
		return nil, err
	}
	return decode(&out)
}

func decode(in io.Reader) ([]*unstructured.Unstructured, error) {
	decoder := yaml.NewYAMLOrJSONDecoder(in, 4096)
	var objects []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		if len(object.Object) == 0 {
			continue
		}
		marks := object.GetLabels()
		if marks == nil {
			marks = map[string]string{}
		}
		marks[managedBy] = "EKS"
		object.SetLabels(marks)
		objects = append(objects, object)
	}
}

// replicas reads replicaCount; 2 is the default of EKS's Deployments.
func replicas(configuration string) int {
	var c struct {
		ReplicaCount *int `json:"replicaCount"`
	}
	if err := yaml.Unmarshal([]byte(configuration), &c); err != nil || c.ReplicaCount == nil {
		return 2
	}
	return *c.ReplicaCount
}

type dynamicResource interface {
	Apply(ctx context.Context, name string, object *unstructured.Unstructured, options metav1.ApplyOptions, subresources ...string) (*unstructured.Unstructured, error)
	Get(ctx context.Context, name string, options metav1.GetOptions, subresources ...string) (*unstructured.Unstructured, error)
	Delete(ctx context.Context, name string, options metav1.DeleteOptions, subresources ...string) error
}

// resource finds the client of an object.
func (c *Cluster) resource(object *unstructured.Unstructured) (dynamicResource, error) {
	name, err := c.resourceName(object)
	if err != nil {
		return nil, err
	}
	client := c.objects.Resource(name)
	if ns := object.GetNamespace(); ns != "" {
		return client.Namespace(ns), nil
	}
	return client, nil
}

// resourceName is the plural of an object's kind. The manifests are ours, so that what kinds there are is known.
func (c *Cluster) resourceName(object *unstructured.Unstructured) (schema.GroupVersionResource, error) {
	names := map[string]string{
		"ConfigMap": "configmaps", "Service": "services", "ServiceAccount": "serviceaccounts", "Deployment": "deployments",
		"DaemonSet": "daemonsets", "ClusterRole": "clusterroles", "ClusterRoleBinding": "clusterrolebindings", "RoleBinding": "rolebindings",
		"StorageClass": "storageclasses", "CSIDriver": "csidrivers", "APIService": "apiservices", "PodDisruptionBudget": "poddisruptionbudgets",
	}
	plural, ok := names[object.GetKind()]
	if !ok {
		return schema.GroupVersionResource{}, fmt.Errorf("manifests may not contain a %s", object.GetKind())
	}
	gv, err := schema.ParseGroupVersion(object.GetAPIVersion())
	if err != nil {
		return schema.GroupVersionResource{}, err
	}
	return gv.WithResource(plural), nil
}
