package events

import (
	"context"
	"fmt"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation"
)

// ResourceTypes are the AWS::Events types that stacks may hold.
func (s *Service) ResourceTypes() []cloudformation.ResourceType {
	return []cloudformation.ResourceType{{
		Name: "AWS::Events::Rule", Provider: ruleProvider{s}, CreateOnly: []string{"Name"}, NameProperty: "Name",
		Properties: []string{"Description", "EventPattern", "Name", "State", "Targets"}, Attributes: []string{"Arn"},
	}}
}

type ruleProvider struct{ service *Service }

type ruleProperties struct {
	Name, Description, EventPattern, State string
	Targets                                []target
}

func (p ruleProvider) put(r cloudformation.Resource, name string) (string, error) {
	var in ruleProperties
	if err := cloudformation.Decode(r.Properties, &in); err != nil {
		return "", err
	}
	if _, err := parse(in.EventPattern); err != nil {
		return "", err
	}
	if name == "" {
		if name = in.Name; name == "" {
			name = r.GeneratedName(64)
		}
		if _, taken := p.service.state.Rules[name]; taken {
			return "", fmt.Errorf("Resource of type 'AWS::Events::Rule' with identifier '%s' already exists.", name) //nolint:staticcheck // AWS's words
		}
	}
	p.service.state.Rules[name] = &rule{Name: name, Pattern: in.EventPattern, Disabled: strings.HasPrefix(in.State, "DISABLED"), Targets: in.Targets}
	return name, nil
}

func (p ruleProvider) Create(_ context.Context, r cloudformation.Resource) (string, error) {
	return p.put(r, "")
}

func (p ruleProvider) Update(_ context.Context, r cloudformation.Resource, _ map[string]any) error {
	_, err := p.put(r, r.PhysicalID)
	return err
}

func (p ruleProvider) Delete(_ context.Context, r cloudformation.Resource) error {
	delete(p.service.state.Rules, r.PhysicalID)
	return nil
}

func (p ruleProvider) Status(_ context.Context, r cloudformation.Resource) (cloudformation.Status, error) {
	if _, ok := p.service.state.Rules[r.PhysicalID]; !ok {
		return cloudformation.Status{Phase: cloudformation.Absent}, nil
	}
	return cloudformation.Status{Phase: cloudformation.Ready, Attributes: map[string]any{"Arn": p.service.arn(r.PhysicalID)}}, nil
}
