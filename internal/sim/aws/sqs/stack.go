package sqs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation"
	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation/template"
	"github.com/eks-gitops/reconciler/internal/sim/aws/iam/policy"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

// ResourceTypes are the AWS::SQS types that stacks may hold.
func (s *Service) ResourceTypes() []cloudformation.ResourceType {
	return []cloudformation.ResourceType{
		{
			Name: "AWS::SQS::Queue", Provider: queueProvider{s}, CreateOnly: []string{"FifoQueue", "QueueName"}, NameProperty: "QueueName", Tagged: true,
			Properties: slices.Concat([]string{"QueueName", "Tags"}, settable()), Attributes: []string{"Arn", "QueueName", "QueueUrl"},
		},
		{
			Name: "AWS::SQS::QueuePolicy", Provider: policyProvider{s}, Required: []string{"PolicyDocument", "Queues"},
			Properties: []string{"PolicyDocument", "Queues"}, Attributes: []string{"Id"},
		},
	}
}

// settable are the properties that are attributes of the queue by the same name.
func settable() []string {
	return []string{
		"DelaySeconds", "FifoQueue", "KmsMasterKeyId", "MaximumMessageSize", "MessageRetentionPeriod", "ReceiveMessageWaitTimeSeconds", "RedrivePolicy",
		"SqsManagedSseEnabled", "VisibilityTimeout",
	}
}

// attributes are those that the properties of a resource set.
func attributes(properties map[string]any) (map[string]string, error) {
	out := map[string]string{}
	for _, name := range settable() {
		value, ok := properties[name]
		if !ok {
			continue
		}
		text, err := template.Text(value)
		if err != nil {
			return nil, fmt.Errorf("property %s: %w", name, err)
		}
		out[name] = text
	}
	return out, check(out)
}

type queueProvider struct{ service *Service }

type tag struct{ Key, Value string }

type queueProperties struct {
	QueueName string
	Tags      []tag
}

func tags(r cloudformation.Resource, own []tag) world.Tags {
	out := world.Tags(maps.Clone(r.Tags)).With()
	for _, t := range own {
		out[t.Key] = t.Value
	}
	return out
}

func (p queueProvider) Create(_ context.Context, r cloudformation.Resource) (string, error) {
	var in queueProperties
	set, err := attributes(r.Properties)
	if err = errors.Join(err, cloudformation.Decode(r.Properties, &in)); err != nil {
		return "", err
	}
	if in.QueueName == "" {
		in.QueueName = r.GeneratedName(80)
	}
	if _, taken := p.service.state.Queues[in.QueueName]; taken {
		return "", fmt.Errorf("Resource of type 'AWS::SQS::Queue' with identifier '%s' already exists.", in.QueueName) //nolint:staticcheck // AWS's words
	}
	return p.service.url(in.QueueName), p.service.create(in.QueueName, set, tags(r, in.Tags))
}

func (p queueProvider) Update(_ context.Context, r cloudformation.Resource, _ map[string]any) error {
	var in queueProperties
	set, err := attributes(r.Properties)
	if err = errors.Join(err, cloudformation.Decode(r.Properties, &in)); err != nil {
		return err
	}
	q, err := p.service.find(r.PhysicalID)
	if err != nil {
		return err
	}
	if text, ok := q.Attributes["Policy"]; ok {
		set["Policy"] = text
	}
	q.Attributes, q.Tags, q.Changed = set, tags(r, in.Tags), p.service.world.Now()
	return nil
}

func (p queueProvider) Delete(_ context.Context, r cloudformation.Resource) error {
	if q, err := p.service.find(r.PhysicalID); err == nil {
		delete(p.service.state.Queues, q.Name)
	}
	return nil
}

func (p queueProvider) Status(_ context.Context, r cloudformation.Resource) (cloudformation.Status, error) {
	q, err := p.service.find(r.PhysicalID)
	if err != nil {
		return cloudformation.Status{Phase: cloudformation.Absent}, nil //nolint:nilerr // that it is not there is the answer
	}
	return cloudformation.Status{Phase: cloudformation.Ready, Attributes: map[string]any{
		"Arn": p.service.arn(q.Name), "QueueName": q.Name, "QueueUrl": r.PhysicalID,
	}}, nil
}

type policyProvider struct{ service *Service }

type policyProperties struct {
	PolicyDocument string
	Queues         []string
}

// put sets the policy of the queues, or takes it off where there is no document.
func (p policyProvider) put(r cloudformation.Resource, document string) error {
	var in policyProperties
	if err := cloudformation.Decode(r.Properties, &in); err != nil {
		return err
	}
	if document != "" {
		if _, err := policy.Parse(document, policy.Resource); err != nil {
			return fmt.Errorf("Invalid value for the parameter Policy. Reason: %w", err) //nolint:staticcheck // AWS's words
		}
	}
	for _, url := range in.Queues {
		q, err := p.service.find(url)
		switch {
		case err != nil && document == "": // the queue went first
		case err != nil:
			return err
		case document == "":
			delete(q.Attributes, "Policy")
		default:
			q.Attributes["Policy"] = document
		}
	}
	return nil
}

func (p policyProvider) document(r cloudformation.Resource) (string, error) {
	var in policyProperties
	return in.PolicyDocument, cloudformation.Decode(r.Properties, &in)
}

func (p policyProvider) Create(_ context.Context, r cloudformation.Resource) (string, error) {
	return r.GeneratedName(80), p.write(r)
}

func (p policyProvider) Update(_ context.Context, r cloudformation.Resource, _ map[string]any) error {
	return p.write(r)
}

func (p policyProvider) write(r cloudformation.Resource) error {
	document, err := p.document(r)
	if err != nil {
		return err
	}
	return p.put(r, document)
}

func (p policyProvider) Delete(_ context.Context, r cloudformation.Resource) error {
	return p.put(r, "")
}

func (p policyProvider) Status(_ context.Context, r cloudformation.Resource) (cloudformation.Status, error) {
	var in policyProperties
	if err := cloudformation.Decode(r.Properties, &in); err != nil {
		return cloudformation.Status{}, err
	}
	for _, url := range in.Queues {
		if q, err := p.service.find(url); err == nil && q.Attributes["Policy"] != "" {
			return cloudformation.Status{Phase: cloudformation.Ready, Attributes: map[string]any{"Id": r.PhysicalID}}, nil
		}
	}
	return cloudformation.Status{Phase: cloudformation.Absent}, nil
}
