package ec2

import (
	"context"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// TransitGatewayVpcAttachment ties a VPC to a transit gateway. The gateways themselves belong to whoever runs the network that
// a hybrid cluster joins; every id is taken for one that exists.
type TransitGatewayVpcAttachment struct {
	ID               string    `xml:"transitGatewayAttachmentId"`
	TransitGatewayID string    `xml:"transitGatewayId"`
	VpcID            string    `xml:"vpcId"`
	VpcOwnerID       string    `xml:"vpcOwnerId"`
	State            string    `xml:"state"`
	SubnetIDs        []string  `xml:"subnetIds>item"`
	CreationTime     wire.Time `xml:"creationTime"`
	Tags             []Tag     `xml:"tagSet>item" json:"-"`
	Ending           time.Time `xml:"-"`
}

// propagation lets a virtual private gateway add routes to tables.
type propagation struct {
	GatewayID     string
	RouteTableIDs []string
}

func (s *Service) advanceTransitLinks(time.Time) bool {
	changed := false
	for id, l := range s.state.TransitLinks {
		switch {
		case l.State == pending && s.after(l.CreationTime.Time, "ec2.transitlink.create"):
			l.State = "available"
		case l.State == "deleting" && s.after(l.Ending, "ec2.transitlink.delete"):
			delete(s.state.TransitLinks, id)
			delete(s.state.Tags, id)
		default:
			continue
		}
		changed = true
	}
	return changed
}

// DescribeTransitGatewayVpcAttachmentsInput is the request of DescribeTransitGatewayVpcAttachments.
type DescribeTransitGatewayVpcAttachmentsInput struct {
	Query
	IDs []string `form:"TransitGatewayAttachmentIds"`
}

// DescribeTransitGatewayVpcAttachmentsOutput is the answer of DescribeTransitGatewayVpcAttachments.
type DescribeTransitGatewayVpcAttachmentsOutput struct {
	Attachments []TransitGatewayVpcAttachment `xml:"transitGatewayVpcAttachments>item"`
	NextToken   string                        `xml:"nextToken,omitempty"`
}

// DescribeTransitGatewayVpcAttachments lists attachments.
func (s *Service) DescribeTransitGatewayVpcAttachments(_ context.Context, _ wire.Caller, in *DescribeTransitGatewayVpcAttachmentsInput) (*DescribeTransitGatewayVpcAttachmentsOutput, error) {
	links := kind[TransitGatewayVpcAttachment]{
		all: s.state.TransitLinks, missing: notFound("InvalidTransitGatewayAttachmentID.NotFound", "transit gateway attachment ID"),
		values: func(l *TransitGatewayVpcAttachment, name string) ([]string, bool) {
			v, ok := map[string]string{"transit-gateway-attachment-id": l.ID, "transit-gateway-id": l.TransitGatewayID, "vpc-id": l.VpcID, "state": l.State}[name]
			return one(v), ok
		},
	}
	found, next, err := find(s, links, in.IDs, in.Query)
	if err != nil {
		return nil, err
	}
	out := &DescribeTransitGatewayVpcAttachmentsOutput{NextToken: next}
	for _, l := range found {
		shown := *l
		shown.Tags = s.tagList(l.ID)
		out.Attachments = append(out.Attachments, shown)
	}
	return out, nil
}

type linkProperties struct {
	TransitGatewayID string   `cfn:"TransitGatewayId"`
	VpcID            string   `cfn:"VpcId"`
	SubnetIDs        []string `cfn:"SubnetIds"`
}

func (s *Service) createLinkResource(r cloudformation.Resource) (string, error) {
	var p linkProperties
	if err := cloudformation.Decode(r.Properties, &p); err != nil {
		return "", err
	}
	if _, err := s.vpc(p.VpcID); err != nil {
		return "", err
	}
	for _, id := range p.SubnetIDs {
		if _, err := s.subnet(id); err != nil {
			return "", err
		}
	}
	l := &TransitGatewayVpcAttachment{
		ID: s.world.ID("tgw-attach"), TransitGatewayID: p.TransitGatewayID, VpcID: p.VpcID, VpcOwnerID: s.world.Account, State: pending,
		SubnetIDs: p.SubnetIDs, CreationTime: wire.Time{Time: s.world.Now()},
	}
	s.state.TransitLinks[l.ID] = l
	return l.ID, s.setWanted(l.ID, r)
}

func (s *Service) updateLinkResource(r cloudformation.Resource, old map[string]any) error {
	var p linkProperties
	if err := cloudformation.Decode(r.Properties, &p); err != nil {
		return err
	}
	if l := s.state.TransitLinks[r.PhysicalID]; l != nil {
		l.SubnetIDs = p.SubnetIDs
	}
	return s.changeTags(r.PhysicalID, r, old)
}

func (s *Service) linkStatus(r cloudformation.Resource) cloudformation.Status {
	l := s.state.TransitLinks[r.PhysicalID]
	switch {
	case l == nil:
		return absent()
	case l.State != "available":
		return cloudformation.Status{Phase: cloudformation.InProgress}
	}
	return ready(map[string]any{"Id": l.ID})
}
