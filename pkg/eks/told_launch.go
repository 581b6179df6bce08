package eks

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// launchTellers read the launch template as eksctl fills it in (pkg/cfn/builder/managed_launch_template.go, nodegroup.go and
// block_device_mapping.go).
func launchTellers() map[string]teller {
	out := map[string]teller{
		"ami":                      {of: tellImage, drifts: true, implied: true},
		"disableIMDSv1":            {of: tellTokens, drifts: true},
		"disablePodIMDS":           {of: tellHops, drifts: true},
		"enableDetailedMonitoring": {of: tellMonitoring, drifts: true},
		"enclaveEnabled":           {of: tellEnclave, drifts: true},
		"efaEnabled":               {of: tellEFA, drifts: true},
		"cpuCredits":               {of: tellCredits, drifts: true},
		"placement":                {of: tellPlacement},
		"capacityReservation":      {of: tellReservation, drifts: true},
		"instanceMarketOptions":    {of: tellMarket},
		"instanceName":             {of: tellInstanceName, implied: true},
		"instancePrefix":           {of: tellInstancePrefix, implied: true},
		"additionalVolumes":        {of: tellMoreVolumes},
		"volumeName":               {of: tellVolumeName, implied: true},
		"volumeKmsKeyID":           {of: tellVolume("KmsKeyId"), drifts: true},
		"ebsOptimized":             {of: tellOptimized},
	}
	for name, member := range volumeMembers() {
		if _, ok := out[name]; !ok {
			out[name] = teller{of: tellVolume(member)}
		}
	}
	for name, t := range out {
		t.launch, t.seen = true, "ec2:DescribeLaunchTemplateVersions"
		out[name] = t
	}
	return out
}

// ofLaunch reads a launch template that is there.
func (s subject) ofLaunch(read func(*ec2types.ResponseLaunchTemplateData) any) any {
	if s.g.Launch == nil {
		return untold{}
	}
	return read(s.g.Launch)
}

// ofSelf reads the launch template of a self-managed nodegroup.
func (s subject) ofSelf(read func(*ec2types.ResponseLaunchTemplateData) any) any {
	if s.g.Managed {
		return untold{}
	}
	return s.ofLaunch(read)
}

// tellImage: eksctl writes an image into the template of a managed nodegroup only where the file has one of its own. What auto and auto-ssm
// came to is not known any more.
func tellImage(s subject) any {
	if id, _ := s.next.(string); !strings.HasPrefix(id, "ami-") {
		return untold{}
	}
	if n := s.g.Nodegroup; s.g.Launch == nil && n != nil && n.AmiType != "" && n.AmiType != ekstypes.AMITypesCustom {
		return nil
	}
	return s.ofLaunch(func(l *ec2types.ResponseLaunchTemplateData) any { return worded(l.ImageId) })
}

// tellTokens: with disablePodIMDS tokens are required, too, whatever disableIMDSv1 says.
func tellTokens(s subject) any {
	return s.ofLaunch(func(l *ec2types.ResponseLaunchTemplateData) any {
		o := l.MetadataOptions
		if o == nil || o.HttpTokens == "" || tellHops(s) == true {
			return untold{}
		}
		return o.HttpTokens == ec2types.LaunchTemplateHttpTokensStateRequired
	})
}

func tellHops(s subject) any {
	return s.ofLaunch(func(l *ec2types.ResponseLaunchTemplateData) any {
		o := l.MetadataOptions
		if o == nil || o.HttpPutResponseHopLimit == nil {
			return untold{}
		}
		return *o.HttpPutResponseHopLimit == 1 && o.HttpTokens == ec2types.LaunchTemplateHttpTokensStateRequired
	})
}

func tellMonitoring(s subject) any {
	return s.ofLaunch(func(l *ec2types.ResponseLaunchTemplateData) any {
		return l.Monitoring != nil && aws.ToBool(l.Monitoring.Enabled)
	})
}

func tellEnclave(s subject) any {
	return s.ofSelf(func(l *ec2types.ResponseLaunchTemplateData) any {
		return l.EnclaveOptions != nil && aws.ToBool(l.EnclaveOptions.Enabled)
	})
}

func tellEFA(s subject) any {
	return s.ofLaunch(func(l *ec2types.ResponseLaunchTemplateData) any {
		return len(l.NetworkInterfaces) > 0 && aws.ToString(l.NetworkInterfaces[0].InterfaceType) == "efa"
	})
}

func tellCredits(s subject) any {
	return s.ofSelf(func(l *ec2types.ResponseLaunchTemplateData) any {
		if l.CreditSpecification == nil {
			return nil
		}
		live := aws.ToString(l.CreditSpecification.CpuCredits)
		if next, _ := s.next.(string); strings.EqualFold(next, live) {
			return s.next
		}
		return live
	})
}

// tellPlacement: with efaEnabled eksctl makes a placement group of its own.
func tellPlacement(s subject) any {
	return s.ofLaunch(func(l *ec2types.ResponseLaunchTemplateData) any {
		switch {
		case l.Placement == nil || l.Placement.GroupName == nil:
			return nil
		case s.next == nil && tellEFA(s) == true:
			return nil
		}
		return gitops.Tree{"groupName": *l.Placement.GroupName}
	})
}

func tellReservation(s subject) any {
	return s.ofLaunch(func(l *ec2types.ResponseLaunchTemplateData) any {
		r := l.CapacityReservationSpecification
		if r == nil {
			return nil
		}
		out := gitops.Tree{}
		say(out, "capacityReservationPreference", string(r.CapacityReservationPreference))
		if t := r.CapacityReservationTarget; t != nil {
			target := gitops.Tree{}
			say(target, "capacityReservationID", aws.ToString(t.CapacityReservationId))
			say(target, "capacityReservationResourceGroupARN", aws.ToString(t.CapacityReservationResourceGroupArn))
			say(out, "capacityReservationTarget", target)
		}
		return out
	})
}

// tellMarket: eksctl writes it beside a reservation only, so that without one nothing tells; of capacity blocks EKS tells.
func tellMarket(s subject) any {
	if n := s.g.Nodegroup; n != nil && n.CapacityType == ekstypes.CapacityTypesCapacityBlock {
		return gitops.Tree{"marketType": "capacity-block"}
	}
	return s.ofLaunch(func(l *ec2types.ResponseLaunchTemplateData) any {
		switch {
		case l.InstanceMarketOptions != nil:
			return gitops.Tree{"marketType": string(l.InstanceMarketOptions.MarketType)}
		case l.CapacityReservationSpecification == nil && s.want.base().CapacityReservation == nil && s.g.Nodegroup == nil:
			return untold{}
		}
		return nil
	})
}

// nodeName is the name that instances get, and where it ends with no prefix and no name of the file.
func (s subject) nodeName() (name, usual string, known bool) {
	if s.g.Launch == nil {
		return "", "", false
	}
	for _, spec := range s.g.Launch.TagSpecifications {
		for _, t := range spec.Tags {
			if spec.ResourceType == ec2types.ResourceTypeInstance && aws.ToString(t.Key) == "Name" {
				return aws.ToString(t.Value), s.c.Name + "-" + s.g.Name + "-Node", true
			}
		}
	}
	return "", "", false
}

// tellInstanceName and tellInstancePrefix take the name apart, which is "prefix-name" (generateNodeName in eksctl's nodegroup.go): the part
// that git says, too, is what it is, and the rest is the other.
func tellInstanceName(s subject) any {
	name, _, known := s.nodeName()
	if !known {
		return untold{}
	}
	if prefix := s.want.base().InstancePrefix; prefix != "" {
		name = strings.TrimPrefix(name, prefix+"-")
	}
	return name
}

func tellInstancePrefix(s subject) any {
	name, rest, known := s.nodeName()
	if !known {
		return untold{}
	}
	if own := s.want.base().InstanceName; own != "" {
		rest = own
	}
	if next, _ := s.next.(string); next != "" && strings.HasPrefix(name, next+"-") {
		return next
	}
	return strings.TrimSuffix(strings.TrimSuffix(name, rest), "-")
}

// volumeMembers are the fields of a volume, and what EC2 calls them.
func volumeMembers() map[string]string {
	return map[string]string{
		"volumeSize": "VolumeSize", "volumeType": "VolumeType", "volumeIOPS": "Iops", "volumeThroughput": "Throughput",
		"volumeEncrypted": "Encrypted", "volumeKmsKeyID": "KmsKeyId",
	}
}

// tellVolume reads a property of the root volume.
func tellVolume(member string) func(subject) any {
	return func(s subject) any {
		return s.ofLaunch(func(l *ec2types.ResponseLaunchTemplateData) any {
			if len(l.BlockDeviceMappings) == 0 || l.BlockDeviceMappings[0].Ebs == nil {
				return untold{}
			}
			ebs, _ := treeOf(l.BlockDeviceMappings[0].Ebs).(gitops.Tree)
			return ebs[member]
		})
	}
}

func tellVolumeName(s subject) any {
	return s.ofLaunch(func(l *ec2types.ResponseLaunchTemplateData) any {
		if len(l.BlockDeviceMappings) == 0 {
			return untold{}
		}
		return worded(l.BlockDeviceMappings[0].DeviceName)
	})
}

// tellMoreVolumes are the volumes past the first, without the one of Bottlerocket's own system that eksctl encrypts like it.
func tellMoreVolumes(s subject) any {
	return s.ofLaunch(func(l *ec2types.ResponseLaunchTemplateData) any {
		if len(l.BlockDeviceMappings) == 0 {
			return untold{}
		}
		var out []any
		for _, m := range l.BlockDeviceMappings[1:] {
			if m.Ebs == nil || m.Ebs.VolumeSize == nil {
				continue
			}
			ebs, _ := treeOf(m.Ebs).(gitops.Tree)
			item := gitops.Tree{"volumeName": aws.ToString(m.DeviceName)}
			for name, member := range volumeMembers() {
				say(item, name, ebs[member])
			}
			say(item, "snapshotID", aws.ToString(m.Ebs.SnapshotId))
			out = append(out, item)
		}
		return out
	})
}

func tellOptimized(s subject) any {
	return s.ofLaunch(func(l *ec2types.ResponseLaunchTemplateData) any { return aws.ToBool(l.EbsOptimized) })
}

// worded is a string that may not be there.
func worded(s *string) any {
	if s == nil || *s == "" {
		return nil
	}
	return *s
}
