package cloudformation

import (
	"context"
	"maps"
	"slices"

	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation/template"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// StackResource is a resource as DescribeStackResources shows it.
type StackResource struct {
	StackName            string
	StackID              string        `xml:"StackId"`
	LogicalResourceID    string        `xml:"LogicalResourceId"`
	PhysicalResourceID   string        `xml:"PhysicalResourceId,omitempty"`
	ResourceType         string        `xml:"ResourceType"`
	Timestamp            *wire.Time    `xml:"Timestamp"`
	ResourceStatus       string        `xml:"ResourceStatus"`
	ResourceStatusReason string        `xml:"ResourceStatusReason,omitempty"`
	DriftInformation     ResourceDrift `xml:"DriftInformation"`
}

// DescribeStackResourcesInput is the request of DescribeStackResources.
type DescribeStackResourcesInput struct {
	StackName          string
	LogicalResourceID  string `form:"LogicalResourceId"`
	PhysicalResourceID string `form:"PhysicalResourceId"`
}

// DescribeStackResourcesOutput is the answer of DescribeStackResources.
type DescribeStackResourcesOutput struct {
	StackResources []StackResource `xml:"StackResources>member"`
}

// DescribeStackResources shows the resources of a stack, or those of the stack that a physical id belongs to.
func (s *Service) DescribeStackResources(_ context.Context, _ wire.Caller, in *DescribeStackResourcesInput) (*DescribeStackResourcesOutput, error) {
	st, err := s.stackOfResources(in)
	if err != nil {
		return nil, err
	}
	out := &DescribeStackResourcesOutput{}
	for _, name := range slices.Sorted(maps.Keys(st.Members)) {
		m := st.Members[name]
		if in.LogicalResourceID != "" && in.LogicalResourceID != name {
			continue
		}
		out.StackResources = append(out.StackResources, StackResource{
			StackName: st.Name, StackID: st.ID, LogicalResourceID: name, PhysicalResourceID: m.PhysicalID, ResourceType: m.Type,
			Timestamp: wire.At(m.Since), ResourceStatus: m.Status, ResourceStatusReason: m.Reason,
			DriftInformation: ResourceDrift{StackResourceDriftStatus: notChecked},
		})
	}
	return out, nil
}

func (s *Service) stackOfResources(in *DescribeStackResourcesInput) (*stack, error) {
	switch {
	case in.StackName != "" && in.PhysicalResourceID != "":
		return nil, invalid("You can specify either stackName or physicalResourceId, but not both.")
	case in.StackName != "":
		if st, ok := s.find(in.StackName); ok {
			return st, nil
		}
		return nil, noStackWithID(in.StackName)
	case in.PhysicalResourceID == "":
		return nil, invalid("Either stackName or physicalResourceId must be specified.")
	}
	for _, st := range s.newestFirst() {
		for _, m := range st.Members {
			if m.PhysicalID == in.PhysicalResourceID && m.Status != "DELETE_COMPLETE" {
				return st, nil
			}
		}
	}
	return nil, invalid("Stack for %s does not exist", in.PhysicalResourceID)
}

// DescribeStackResourceInput is the request of DescribeStackResource.
type DescribeStackResourceInput struct {
	StackName         string
	LogicalResourceID string `form:"LogicalResourceId"`
}

// StackResourceDetail is a resource as DescribeStackResource shows it.
type StackResourceDetail struct {
	StackName            string
	StackID              string        `xml:"StackId"`
	LogicalResourceID    string        `xml:"LogicalResourceId"`
	PhysicalResourceID   string        `xml:"PhysicalResourceId,omitempty"`
	ResourceType         string        `xml:"ResourceType"`
	LastUpdatedTimestamp *wire.Time    `xml:"LastUpdatedTimestamp"`
	ResourceStatus       string        `xml:"ResourceStatus"`
	ResourceStatusReason string        `xml:"ResourceStatusReason,omitempty"`
	Metadata             string        `xml:"Metadata"`
	DriftInformation     ResourceDrift `xml:"DriftInformation"`
}

// DescribeStackResourceOutput is the answer of DescribeStackResource.
type DescribeStackResourceOutput struct {
	StackResourceDetail StackResourceDetail
}

// DescribeStackResource shows one resource.
func (s *Service) DescribeStackResource(_ context.Context, _ wire.Caller, in *DescribeStackResourceInput) (*DescribeStackResourceOutput, error) {
	st, ok := s.find(in.StackName)
	if !ok {
		return nil, invalid("Stack '%s' does not exist", in.StackName)
	}
	m := st.Members[in.LogicalResourceID]
	if m == nil {
		return nil, invalid("Resource %s does not exist for stack %s", in.LogicalResourceID, st.Name)
	}
	metadata := "{}"
	if t, err := st.Target.template(); err == nil && t.Resources[in.LogicalResourceID].Metadata != nil {
		metadata = template.Canonical(t.Resources[in.LogicalResourceID].Metadata)
	}
	return &DescribeStackResourceOutput{StackResourceDetail: StackResourceDetail{
		StackName: st.Name, StackID: st.ID, LogicalResourceID: m.LogicalID, PhysicalResourceID: m.PhysicalID, ResourceType: m.Type,
		LastUpdatedTimestamp: wire.At(m.Since), ResourceStatus: m.Status, ResourceStatusReason: m.Reason, Metadata: metadata,
		DriftInformation: ResourceDrift{StackResourceDriftStatus: notChecked},
	}}, nil
}

// StackResourceSummary is a resource as ListStackResources shows it.
type StackResourceSummary struct {
	LogicalResourceID    string        `xml:"LogicalResourceId"`
	PhysicalResourceID   string        `xml:"PhysicalResourceId,omitempty"`
	ResourceType         string        `xml:"ResourceType"`
	LastUpdatedTimestamp *wire.Time    `xml:"LastUpdatedTimestamp"`
	ResourceStatus       string        `xml:"ResourceStatus"`
	ResourceStatusReason string        `xml:"ResourceStatusReason,omitempty"`
	DriftInformation     ResourceDrift `xml:"DriftInformation"`
}

// ListStackResourcesOutput is the answer of ListStackResources.
type ListStackResourcesOutput struct {
	StackResourceSummaries []StackResourceSummary `xml:"StackResourceSummaries>member"`
	NextToken              string                 `xml:"NextToken,omitempty"`
}

// ListStackResources lists the resources of a stack in pages.
func (s *Service) ListStackResources(_ context.Context, _ wire.Caller, in *StackNameInput) (*ListStackResourcesOutput, error) {
	st, ok := s.find(in.StackName)
	if !ok {
		return nil, noStackWithID(in.StackName)
	}
	names, next, err := pageNames(slices.Collect(maps.Keys(st.Members)), in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &ListStackResourcesOutput{NextToken: next}
	for _, name := range names {
		m := st.Members[name]
		out.StackResourceSummaries = append(out.StackResourceSummaries, StackResourceSummary{
			LogicalResourceID: name, PhysicalResourceID: m.PhysicalID, ResourceType: m.Type, LastUpdatedTimestamp: wire.At(m.Since),
			ResourceStatus: m.Status, ResourceStatusReason: m.Reason, DriftInformation: ResourceDrift{StackResourceDriftStatus: notChecked},
		})
	}
	return out, nil
}

// GetStackPolicyInput is the request of GetStackPolicy.
type GetStackPolicyInput struct {
	StackName string
}

// GetStackPolicyOutput is the answer of GetStackPolicy; no stack has a policy here.
type GetStackPolicyOutput struct {
	StackPolicyBody string `xml:"StackPolicyBody,omitempty"`
}

// GetStackPolicy answers that there is no policy.
func (s *Service) GetStackPolicy(_ context.Context, _ wire.Caller, in *GetStackPolicyInput) (*GetStackPolicyOutput, error) {
	if _, ok := s.find(in.StackName); !ok {
		return nil, noStackWithID(in.StackName)
	}
	return &GetStackPolicyOutput{}, nil
}
