package modelcheck

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation"
)

// schema is a resource type's schema of the CloudFormation registry.
type schema struct {
	TypeName             string
	Properties           map[string]json.RawMessage
	Required             []string
	CreateOnlyProperties []string
	ReadOnlyProperties   []string
}

// ResourceTypes reports where declared resource types differ from CloudFormation's registry: properties and attributes that
// are not there, required or create-only properties that are missing or wrong.
func ResourceTypes(t testing.TB, types ...cloudformation.ResourceType) {
	t.Helper()
	dir, ok := folder()
	if !ok {
		missing(t)
		return
	}
	for _, declared := range types {
		file := strings.ToLower(strings.ReplaceAll(declared.Name, "::", "-")) + ".json"
		raw, err := os.ReadFile(filepath.Join(dir, "cloudformation-resources", file))
		if err != nil {
			t.Logf("NOT RUN: check of %s against its schema: %v", declared.Name, err)
			continue
		}
		var s schema
		if err := json.Unmarshal(raw, &s); err != nil {
			t.Fatalf("reading %s: %v", file, err)
		}
		for _, fault := range s.compare(declared) {
			t.Errorf("%s: %s", declared.Name, fault)
		}
	}
}

// CreateOnly lists the properties of a resource type that are fixed at creation ("Configuration/ArgoCd/Namespace"); nil where the data is
// not beside the checkout.
func CreateOnly(t testing.TB, typeName string) []string {
	t.Helper()
	dir, ok := folder()
	if !ok {
		missing(t)
		return nil
	}
	raw, err := os.ReadFile(filepath.Join(dir, "cloudformation-resources", strings.ToLower(strings.ReplaceAll(typeName, "::", "-"))+".json"))
	var s schema
	if err == nil {
		err = json.Unmarshal(raw, &s)
	}
	if err != nil {
		t.Fatalf("the schema of %s: %v", typeName, err)
	}
	return names(s.CreateOnlyProperties)
}

func names(pointers []string) []string {
	var out []string
	for _, p := range pointers {
		out = append(out, strings.TrimPrefix(p, "/properties/"))
	}
	return out
}

// newer are properties that the service models and CloudFormation's template reference have and the older registry schemas do not have yet.
func newer() []string {
	const repair = "AWS::EKS::Nodegroup/NodeRepairConfig/" // .../TemplateReference/aws-properties-eks-nodegroup-noderepairconfig.html
	return []string{
		"AWS::EKS::PodIdentityAssociation/Policy",
		repair + "MaxUnhealthyNodeThresholdCount", repair + "MaxUnhealthyNodeThresholdPercentage",
		repair + "MaxParallelNodesRepairedCount", repair + "MaxParallelNodesRepairedPercentage", repair + "NodeRepairConfigOverrides",
	}
}

func (s schema) compare(d cloudformation.ResourceType) []string {
	return slices.Concat(s.compareProperties(d), s.compareCreateOnly(d), s.compareAttributes(d))
}

func (s schema) compareProperties(d cloudformation.ResourceType) []string {
	var faults []string
	readOnly := names(s.ReadOnlyProperties)
	for _, p := range d.Properties {
		if slices.Contains(newer(), s.TypeName+"/"+p) {
			continue
		}
		if _, ok := s.Properties[p]; !ok || slices.Contains(readOnly, p) {
			faults = append(faults, "property "+p+" is not one that a template may set")
		}
	}
	for _, p := range d.Required {
		if !slices.Contains(s.Required, p) {
			faults = append(faults, "property "+p+" is not required")
		}
	}
	for _, p := range s.Required {
		if !slices.Contains(d.Required, p) {
			faults = append(faults, "property "+p+" is required")
		}
	}
	return faults
}

func (s schema) compareCreateOnly(d cloudformation.ResourceType) []string {
	var faults []string
	createOnly := names(s.CreateOnlyProperties)
	for _, p := range d.CreateOnly {
		if !slices.Contains(createOnly, p) {
			faults = append(faults, "a change of "+p+" does not mean replacement")
		}
	}
	for _, p := range createOnly {
		top, _, _ := strings.Cut(p, "/")
		if slices.Contains(d.Properties, top) && !slices.Contains(d.CreateOnly, p) {
			faults = append(faults, "a change of "+p+" means replacement")
		}
	}
	return faults
}

func (s schema) compareAttributes(d cloudformation.ResourceType) []string {
	var faults []string
	readOnly := names(s.ReadOnlyProperties)
	for _, a := range d.Attributes {
		// Some documented attributes are settable properties too (AWS::EKS::Nodegroup's ClusterName).
		if _, property := s.Properties[a]; !property && !slices.Contains(readOnly, strings.ReplaceAll(a, ".", "/")) {
			faults = append(faults, a+" is no attribute")
		}
	}
	for _, a := range readOnly {
		if !slices.Contains(d.Attributes, strings.ReplaceAll(a, "/", ".")) {
			faults = append(faults, "attribute "+a+" is missing")
		}
	}
	return faults
}
