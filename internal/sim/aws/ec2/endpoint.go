package ec2

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// VpcEndpoint reaches an AWS service from inside a VPC.
type VpcEndpoint struct {
	VpcEndpointID       string            `xml:"vpcEndpointId"`
	VpcEndpointType     string            `xml:"vpcEndpointType"`
	VpcID               string            `xml:"vpcId"`
	ServiceName         string            `xml:"serviceName"`
	State               string            `xml:"state"`
	PolicyDocument      string            `xml:"policyDocument,omitempty"`
	RouteTableIDs       []string          `xml:"routeTableIdSet>item"`
	SubnetIDs           []string          `xml:"subnetIdSet>item"`
	Groups              []GroupIdentifier `xml:"groupSet>item"`
	PrivateDNSEnabled   bool              `xml:"privateDnsEnabled"`
	RequesterManaged    bool              `xml:"requesterManaged"`
	NetworkInterfaceIDs []string          `xml:"networkInterfaceIdSet>item"`
	CreationTimestamp   wire.Time         `xml:"creationTimestamp"`
	Tags                []Tag             `xml:"tagSet>item" json:"-"`
	OwnerID             string            `xml:"ownerId"`
	Ending              time.Time         `xml:"-"`
}

// endpointServices are the services that endpoints can reach, by their short names; S3 and DynamoDB have gateway endpoints.
func endpointServices() []string {
	return []string{
		"autoscaling", "cloudformation", "dynamodb", "ec2", "ec2messages", "ecr.api", "ecr.dkr", "eks", "eks-auth", "elasticloadbalancing", "kms", "logs",
		"monitoring", "s3", "sqs", "ssm", "ssmmessages", "sts", "xray", "elasticfilesystem", "guardduty-data", "secretsmanager",
	}
}

// VpcEndpointInput is the request of CreateVpcEndpoint and holds the properties of AWS::EC2::VPCEndpoint.
type VpcEndpointInput struct {
	Dry               `cfn:"-"`
	VpcEndpointType   string
	VpcID             string `form:"VpcId" cfn:"VpcId"`
	ServiceName       string
	PolicyDocument    string
	RouteTableIDs     []string           `form:"RouteTableId" cfn:"RouteTableIds"`
	SubnetIDs         []string           `form:"SubnetId" cfn:"SubnetIds"`
	SecurityGroupIDs  []string           `form:"SecurityGroupId" cfn:"SecurityGroupIds"`
	ClientToken       string             `cfn:"-"`
	PrivateDNSEnabled *bool              `form:"PrivateDnsEnabled" cfn:"PrivateDnsEnabled"`
	TagSpecifications []TagSpecification `form:"TagSpecification" cfn:"-"`
}

// VpcEndpointOutput is the answer of CreateVpcEndpoint.
type VpcEndpointOutput struct {
	VpcEndpoint VpcEndpoint `xml:"vpcEndpoint"`
}

func (s *Service) endpoints() kind[VpcEndpoint] {
	return kind[VpcEndpoint]{
		all: s.state.Endpoints, missing: notFound("InvalidVpcEndpointId.NotFound", "Vpc Endpoint Id"), idsParameter: "vpcEndpointIds",
		values: func(e *VpcEndpoint, name string) ([]string, bool) {
			v, ok := map[string]string{
				"vpc-id": e.VpcID, "service-name": e.ServiceName, "vpc-endpoint-id": e.VpcEndpointID, "vpc-endpoint-state": e.State, "vpc-endpoint-type": e.VpcEndpointType,
			}[name]
			return one(v), ok
		},
	}
}

// CreateVpcEndpoint starts an endpoint.
func (s *Service) CreateVpcEndpoint(_ context.Context, _ wire.Caller, in *VpcEndpointInput) (*VpcEndpointOutput, error) {
	v, err := s.vpc(in.VpcID)
	if err != nil {
		return nil, err
	}
	tags, err := specified(in.TagSpecifications, "vpc-endpoint")
	if err != nil {
		return nil, err
	}
	kind := cmp.Or(in.VpcEndpointType, "Gateway")
	if err := s.checkEndpoint(v, kind, in); err != nil {
		return nil, err
	}
	e := &VpcEndpoint{
		VpcEndpointID: s.world.ID("vpce"), VpcEndpointType: kind, VpcID: v.VpcID, ServiceName: in.ServiceName, State: "pending", PolicyDocument: in.PolicyDocument,
		RouteTableIDs: in.RouteTableIDs, Groups: s.identify(in.SecurityGroupIDs), CreationTimestamp: wire.Time{Time: s.world.Now()}, OwnerID: s.world.Account,
		PrivateDNSEnabled: kind == "Interface" && (in.PrivateDNSEnabled == nil || *in.PrivateDNSEnabled),
	}
	if err := s.placeEndpoint(e, in); err != nil {
		return nil, err
	}
	s.state.Endpoints[e.VpcEndpointID] = e
	s.SetTags(e.VpcEndpointID, tags)
	return &VpcEndpointOutput{VpcEndpoint: s.showEndpoint(e)}, nil
}

// checkEndpoint finds what CreateVpcEndpoint refuses.
func (s *Service) checkEndpoint(v *Vpc, kind string, in *VpcEndpointInput) error {
	known := slices.IndexFunc(endpointServices(), func(short string) bool { return s.serviceName(short) == in.ServiceName })
	if known < 0 {
		return wire.Errorf("InvalidServiceName", "The Vpc Endpoint Service '%s' does not exist", in.ServiceName)
	}
	if short := endpointServices()[known]; kind == "Gateway" && short != "s3" && short != "dynamodb" {
		return wire.Errorf("InvalidParameter", "Endpoint type (%s) does not match available service types ([Interface]).", kind)
	}
	for _, id := range in.RouteTableIDs {
		if _, err := s.routeTable(id); err != nil {
			return err
		}
	}
	for _, other := range s.state.Endpoints {
		if other.VpcID == v.VpcID && other.ServiceName == in.ServiceName && kind == "Interface" && other.PrivateDNSEnabled && in.PrivateDNSEnabled != nil && *in.PrivateDNSEnabled {
			return wire.Errorf("InvalidParameter", "private-dns-enabled cannot be set because there is already a conflicting DNS domain for %s in the VPC %s", in.ServiceName, v.VpcID)
		}
	}
	return nil
}

// serviceName is the name of a service that endpoints reach. In China some begin with cn (docs.amazonaws.cn, VPC user guide, "Services that
// integrate with PrivateLink"; eksctl, EndpointServices).
func (s *Service) serviceName(short string) string {
	prefix := "com.amazonaws."
	if s.world.Partition == "aws-cn" && slices.Contains([]string{"ec2", "ecr.api", "ecr.dkr", "sts", "cloudformation"}, short) {
		prefix = "cn.com.amazonaws."
	}
	return prefix + s.world.Region + "." + short
}

func (s *Service) placeEndpoint(e *VpcEndpoint, in *VpcEndpointInput) error {
	for _, id := range in.SecurityGroupIDs {
		if _, err := s.securityGroup(id); err != nil {
			return err
		}
	}
	for _, id := range in.SubnetIDs {
		n, err := s.subnet(id)
		if err != nil {
			return err
		}
		i, err := s.newInterface(n, NetworkInterface{
			Description: "VPC Endpoint Interface " + e.VpcEndpointID, InterfaceType: "vpc_endpoint", RequesterManaged: true, Status: "in-use", Groups: s.identify(in.SecurityGroupIDs),
		})
		if err != nil {
			return err
		}
		e.SubnetIDs = append(e.SubnetIDs, id)
		e.NetworkInterfaceIDs = append(e.NetworkInterfaceIDs, i.NetworkInterfaceID)
	}
	return nil
}

func (s *Service) showEndpoint(e *VpcEndpoint) VpcEndpoint {
	shown := *e
	shown.Tags = s.tagList(e.VpcEndpointID)
	return shown
}

// DeleteVpcEndpointsInput is the request of DeleteVpcEndpoints.
type DeleteVpcEndpointsInput struct {
	Dry
	VpcEndpointIDs []string `form:"VpcEndpointId"`
}

// Unsuccessful is something that a bulk operation could not do.
type Unsuccessful struct {
	Error      UnsuccessfulError `xml:"error"`
	ResourceID string            `xml:"resourceId"`
}

// UnsuccessfulError is why.
type UnsuccessfulError struct {
	Code    string `xml:"code"`
	Message string `xml:"message"`
}

// DeleteVpcEndpointsOutput is the answer of DeleteVpcEndpoints.
type DeleteVpcEndpointsOutput struct {
	Unsuccessful []Unsuccessful `xml:"unsuccessful>item"`
}

// DeleteVpcEndpoints starts the deletion of endpoints.
func (s *Service) DeleteVpcEndpoints(_ context.Context, _ wire.Caller, in *DeleteVpcEndpointsInput) (*DeleteVpcEndpointsOutput, error) {
	out := &DeleteVpcEndpointsOutput{}
	for _, id := range in.VpcEndpointIDs {
		e := s.state.Endpoints[id]
		if e == nil {
			out.Unsuccessful = append(out.Unsuccessful, Unsuccessful{ResourceID: id, Error: UnsuccessfulError{
				Code: "InvalidVpcEndpoint.NotFound", Message: "The Vpc Endpoint Id '" + id + "' does not exist",
			}})
			continue
		}
		if e.State != "deleting" {
			e.State, e.Ending = "deleting", s.world.Now()
		}
	}
	return out, nil
}

func (s *Service) advanceEndpoints(time.Time) bool {
	changed := false
	for id, e := range s.state.Endpoints {
		switch {
		case e.State == "pending" && (e.VpcEndpointType == "Gateway" || s.after(e.CreationTimestamp.Time, "ec2.endpoint.create")):
			e.State = "available"
		case e.State == "deleting" && s.after(e.Ending, "ec2.endpoint.delete"):
			for _, i := range e.NetworkInterfaceIDs {
				s.dropInterface(i)
			}
			delete(s.state.Endpoints, id)
			delete(s.state.Tags, id)
		default:
			continue
		}
		changed = true
	}
	return changed
}

// DescribeVpcEndpointsInput is the request of DescribeVpcEndpoints.
type DescribeVpcEndpointsInput struct {
	Query
	VpcEndpointIDs []string `form:"VpcEndpointId"`
}

// DescribeVpcEndpointsOutput is the answer of DescribeVpcEndpoints.
type DescribeVpcEndpointsOutput struct {
	VpcEndpoints []VpcEndpoint `xml:"vpcEndpointSet>item"`
	NextToken    string        `xml:"nextToken,omitempty"`
}

// DescribeVpcEndpoints lists endpoints.
func (s *Service) DescribeVpcEndpoints(_ context.Context, _ wire.Caller, in *DescribeVpcEndpointsInput) (*DescribeVpcEndpointsOutput, error) {
	found, next, err := find(s, s.endpoints(), in.VpcEndpointIDs, in.Query)
	if err != nil {
		return nil, err
	}
	out := &DescribeVpcEndpointsOutput{NextToken: next}
	for _, e := range found {
		out.VpcEndpoints = append(out.VpcEndpoints, s.showEndpoint(e))
	}
	return out, nil
}

// DescribeVpcEndpointServicesInput is the request of DescribeVpcEndpointServices.
type DescribeVpcEndpointServicesInput struct {
	Query
	ServiceNames []string `form:"ServiceName"`
}

// ServiceDetail is a service that endpoints can reach.
type ServiceDetail struct {
	ServiceName        string        `xml:"serviceName"`
	ServiceType        []ServiceType `xml:"serviceType>item"`
	AvailabilityZones  []string      `xml:"availabilityZoneSet>item"`
	Owner              string        `xml:"owner"`
	PrivateDNSName     string        `xml:"privateDnsName,omitempty"`
	PolicySupported    bool          `xml:"vpcEndpointPolicySupported"`
	AcceptanceRequired bool          `xml:"acceptanceRequired"`
}

// ServiceType is a type of endpoint.
type ServiceType struct {
	ServiceType string `xml:"serviceType"`
}

// DescribeVpcEndpointServicesOutput is the answer of DescribeVpcEndpointServices.
type DescribeVpcEndpointServicesOutput struct {
	ServiceNames []string        `xml:"serviceNameSet>item"`
	Details      []ServiceDetail `xml:"serviceDetailSet>item"`
	NextToken    string          `xml:"nextToken,omitempty"`
}

// DescribeVpcEndpointServices lists what endpoints can reach.
func (s *Service) DescribeVpcEndpointServices(_ context.Context, _ wire.Caller, in *DescribeVpcEndpointServicesInput) (*DescribeVpcEndpointServicesOutput, error) {
	var all []ServiceDetail
	for _, short := range endpointServices() {
		detail := ServiceDetail{
			ServiceName: s.serviceName(short), ServiceType: []ServiceType{{ServiceType: "Interface"}}, AvailabilityZones: s.ZoneNames(), Owner: "amazon",
			PrivateDNSName: short + "." + s.world.Region + "." + s.world.DNSSuffix(), PolicySupported: true,
		}
		all = append(all, detail)
		if short == "s3" || short == "dynamodb" {
			detail.ServiceType, detail.PrivateDNSName = []ServiceType{{ServiceType: "Gateway"}}, ""
			all = append(all, detail)
		}
	}
	for _, name := range in.ServiceNames {
		if !slices.ContainsFunc(all, func(d ServiceDetail) bool { return d.ServiceName == name }) {
			return nil, wire.Errorf("InvalidServiceName", "The Vpc Endpoint Service '%s' does not exist", name)
		}
	}
	var found []ServiceDetail
	for _, d := range all {
		if len(in.ServiceNames) > 0 && !slices.Contains(in.ServiceNames, d.ServiceName) {
			continue
		}
		pass, err := passes(d, nil, in.Filters, func(d ServiceDetail, name string) ([]string, bool) {
			v, ok := map[string]string{"service-name": d.ServiceName, "service-type": d.ServiceType[0].ServiceType, "owner": d.Owner}[name]
			return one(v), ok
		})
		if err != nil {
			return nil, err
		}
		if pass {
			found = append(found, d)
		}
	}
	part, next, err := page(found, func(d ServiceDetail) string { return wire.Key(d.ServiceName, d.ServiceType[0].ServiceType) }, in.Query)
	if err != nil {
		return nil, err
	}
	out := &DescribeVpcEndpointServicesOutput{Details: part, NextToken: next}
	for _, d := range part {
		if !slices.Contains(out.ServiceNames, d.ServiceName) {
			out.ServiceNames = append(out.ServiceNames, d.ServiceName)
		}
	}
	return out, nil
}
