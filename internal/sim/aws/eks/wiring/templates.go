package wiring

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation"
	"github.com/eks-gitops/reconciler/internal/sim/aws/ec2"
	"github.com/eks-gitops/reconciler/internal/sim/aws/eks"
	"github.com/eks-gitops/reconciler/internal/sim/aws/iam"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

type templates struct {
	world *world.World
	ec2   *ec2.Service
	iam   *iam.Service
}

func (t templates) find(spec eks.LaunchTemplateSpecification) (*ec2.LaunchTemplate, int, ec2.TemplateData, error) {
	ref := ec2.TemplateRef{ID: spec.ID}
	if spec.ID == "" {
		ref.Name = spec.Name // a node group knows both once it has found its template
	}
	found, err := t.ec2.Template(ref)
	if err != nil {
		return nil, 0, ec2.TemplateData{}, err
	}
	n, data, err := found.Version(spec.Version)
	return found, n, data, err
}

func (t templates) Resolve(spec eks.LaunchTemplateSpecification) (eks.Template, error) {
	found, n, data, err := t.find(spec)
	if err != nil {
		return eks.Template{}, err
	}
	out := eks.Template{
		ID: found.ID, Name: found.Name, Version: strconv.Itoa(n), ImageID: data.ImageID, InstanceType: data.InstanceType, KeyName: data.KeyName,
		UserData: data.UserData, SecurityGroupIDs: data.SecurityGroupIDs,
		Spot:        data.MarketOptions != nil && data.MarketOptions.MarketType == "spot",
		Hibernation: data.HibernationOptions != nil && data.HibernationOptions.Configured,
	}
	if p := data.IamInstanceProfile; p != nil {
		out.IAMInstanceProfile = p.Arn + p.Name
	}
	for _, nic := range data.NetworkInterfaces {
		out.SecurityGroupIDs = append(out.SecurityGroupIDs, nic.Groups...)
		if nic.SubnetID != "" {
			out.SubnetIDs = append(out.SubnetIDs, nic.SubnetID)
		}
	}
	return out, nil
}

// Put copies the user's template and lays over it what EKS decides.
func (t templates) Put(own eks.OwnTemplate) (id, version string, err error) {
	data := ec2.TemplateData{}
	if own.From.ID != "" || own.From.Name != "" {
		spec := own.From
		if spec.ID != "" {
			spec.Name = ""
		}
		if _, _, data, err = t.find(spec); err != nil {
			return "", "", err
		}
	}
	if err := t.fill(&data, own); err != nil {
		return "", "", err
	}
	if own.ID != "" {
		made, err := t.ec2.CreateLaunchTemplateVersion(quick(), asEKS(), &ec2.CreateLaunchTemplateVersionInput{
			TemplateRef: ec2.TemplateRef{ID: own.ID}, LaunchTemplateData: data,
		})
		if err != nil {
			return "", "", err
		}
		return own.ID, strconv.Itoa(made.Version.Number), nil
	}
	made, err := t.ec2.CreateLaunchTemplate(quick(), asEKS(), &ec2.CreateLaunchTemplateInput{LaunchTemplateName: own.Name, LaunchTemplateData: data})
	if err != nil {
		return "", "", err
	}
	t.ec2.SetTags(made.LaunchTemplate.ID, map[string]string{"eks:cluster-name": own.Tags["eks:cluster-name"], "eks:nodegroup-name": own.Tags["eks:nodegroup-name"]})
	return made.LaunchTemplate.ID, "1", nil
}

func (t templates) fill(data *ec2.TemplateData, own eks.OwnTemplate) error {
	profile, err := t.profile(own)
	if err != nil {
		return err
	}
	data.IamInstanceProfile = &ec2.ProfileRef{Name: profile}
	if own.ImageID != "" {
		data.ImageID = own.ImageID
	}
	if own.InstanceType != "" {
		data.InstanceType = own.InstanceType
	}
	if own.UserData != "" {
		data.UserData = own.UserData
	}
	if len(own.SecurityGroupIDs) > 0 {
		data.SecurityGroupIDs = own.SecurityGroupIDs
		if len(data.NetworkInterfaces) > 0 {
			data.SecurityGroupIDs = nil
			data.NetworkInterfaces = slices.Clone(data.NetworkInterfaces)
			data.NetworkInterfaces[0].Groups = own.SecurityGroupIDs
		}
	}
	if own.DiskSize > 0 {
		data.BlockDeviceMappings = []ec2.BlockDevice{{DeviceName: "/dev/xvda", Ebs: &ec2.EbsDevice{VolumeSize: own.DiskSize, VolumeType: "gp2", DeleteOnTermination: new(true)}}}
	}
	if data.MetadataOptions == nil {
		data.MetadataOptions = &ec2.MetadataOptions{HTTPTokens: "optional", HTTPPutResponseHopLimit: 2}
	}
	data.TagSpecifications = tagged(data.TagSpecifications, own.Tags)
	return nil
}

// tagged adds EKS's tags to those that the user's template gives to instances and volumes.
func tagged(have []ec2.TagSpecification, tags map[string]string) []ec2.TagSpecification {
	out := slices.Clone(have)
	for _, kind := range []string{"instance", "volume"} {
		i := slices.IndexFunc(out, func(s ec2.TagSpecification) bool { return s.ResourceType == kind })
		if i < 0 {
			out = append(out, ec2.TagSpecification{ResourceType: kind})
			i = len(out) - 1
		}
		merged := map[string]string{}
		for _, tag := range out[i].Tags {
			merged[tag.Key] = tag.Value
		}
		maps.Copy(merged, tags)
		out[i].Tags = nil
		for _, k := range slices.Sorted(maps.Keys(merged)) {
			out[i].Tags = append(out[i].Tags, ec2.Tag{Key: k, Value: merged[k]})
		}
	}
	return out
}

// profile makes the instance profile that EKS puts a node role into; it has the name of the template.
func (t templates) profile(own eks.OwnTemplate) (string, error) {
	if _, _, ok := t.iam.InstanceProfile(own.Name); ok {
		return own.Name, nil
	}
	role := own.NodeRoleARN[strings.LastIndexByte(own.NodeRoleARN, '/')+1:]
	for _, kind := range t.iam.ResourceTypes() {
		if kind.Name != "AWS::IAM::InstanceProfile" {
			continue
		}
		_, err := kind.Provider.Create(quick(), cloudformation.Resource{
			Type: kind.Name, LogicalID: "Profile", Token: t.world.Upper(12),
			Properties: map[string]any{"InstanceProfileName": own.Name, "Roles": []any{role}},
		})
		if err != nil {
			return "", fmt.Errorf("making the instance profile of %s: %w", role, err)
		}
		return own.Name, nil
	}
	return "", fmt.Errorf("making the instance profile of %s: IAM has no instance profiles", role)
}

// Delete removes EKS's template and the instance profile of the same name.
func (t templates) Delete(id string) {
	found, err := t.ec2.Template(ec2.TemplateRef{ID: id})
	if err != nil {
		return
	}
	if _, err := t.ec2.DeleteLaunchTemplate(quick(), asEKS(), &ec2.TemplateRefInput{TemplateRef: ec2.TemplateRef{ID: id}}); err != nil {
		t.world.Log().Warn("deleting the launch template of a node group", "template", id, "error", err)
	}
	for _, kind := range t.iam.ResourceTypes() {
		if kind.Name == "AWS::IAM::InstanceProfile" {
			r := cloudformation.Resource{Type: kind.Name, LogicalID: "Profile", PhysicalID: found.Name}
			if err := kind.Provider.Delete(quick(), r); err != nil {
				t.world.Log().Warn("deleting the instance profile of a node group", "profile", found.Name, "error", err)
			}
		}
	}
}
