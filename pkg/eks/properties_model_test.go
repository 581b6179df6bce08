package eks

import (
	"slices"
	"strings"
	"testing"

	"github.com/eks-gitops/reconciler/internal/sim/aws/modelcheck"
)

// updating are the calls that change a resource of a type in place.
func updating() map[string][]string {
	return map[string][]string{
		ofNodegroup: {byGroupConfig, byGroupVersion}, ofAddon: {byAddon}, ofAccess: {"eks:UpdateAccessEntry"}, ofAssociation: {byAssociation}, ofScaling: {byScaling},
	}
}

// notOfFiles are what these calls take and no file says, with what is below it.
func notOfFiles() map[string]string {
	const ours, none, launch = "of the request", "eksctl has no field", "what is in the launch template says that"
	return map[string]string{
		"clusterName": ours, "nodegroupName": ours, "addonName": ours, "principalArn": ours, "associationId": ours, "clientRequestToken": ours, "force": ours, "AutoScalingGroupName": ours,
		"resolveConflicts": "says how, as the addon's steering fields do", "version": "the cluster's", "launchTemplate.name": "files name its id", "warmPoolConfig": none,
		"LaunchConfigurationName": "eksctl makes launch templates", "LaunchTemplate": launch, "MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification": launch,
		"AvailabilityZones": "subnets say that", "AvailabilityZoneIds": "subnets say that", "PlacementGroup": launch, "CapacityReservationSpecification": launch,
		"CapacityRebalance": "goes with instancesDistribution", "DefaultCooldown": none, "HealthCheckType": none, "HealthCheckGracePeriod": none, "TerminationPolicies": none,
		"NewInstancesProtectedFromScaleIn": none, "ServiceLinkedRoleARN": none, "Context": none, "DesiredCapacityType": none, "DefaultInstanceWarmup": none,
		"InstanceMaintenancePolicy": none, "AvailabilityZoneDistribution": none, "AvailabilityZoneImpairmentPolicy": none, "SkipZonalShiftValidation": none,
		"InstanceLifecyclePolicy": none, "DeletionProtection": none,
	}
}

// names says that a member is what a name says, or below it.
func names(name, member string) bool {
	return covers(strings.ToLower(name), strings.ToLower(member))
}

// takenBy says that a call takes what a property is called in calls.
func (p awsProperty) takenBy(t *testing.T, call string) bool {
	t.Helper()
	name := p.member
	if name == "" {
		name = strings.ReplaceAll(p.name, "/", ".")
	}
	return slices.ContainsFunc(modelcheck.Takes(t, call), func(m string) bool { return names(name, m) || names(m, name) })
}

// fixed says that CloudFormation calls a property create-only, or what it is part of.
func (p awsProperty) fixed(t *testing.T) bool {
	t.Helper()
	return slices.ContainsFunc(modelcheck.CreateOnly(t, p.of), func(c string) bool { return c == p.name || strings.HasPrefix(p.name, c+"/") })
}

// about says that a row is of a thing whose properties are known.
func about(e entry) bool {
	for _, prefix := range []string{
		"managedNodeGroups[].", "nodeGroups[].", "addons[].", "accessConfig.accessEntries[].", "fargateProfiles[].", "iam.fargatePodExecutionRoleARN", "identityProviders[].",
		"iam.podIdentityAssociations[].", "iam.serviceAccounts[].",
	} {
		if strings.HasPrefix(e.path, prefix) {
			return e.class == mutable || e.class == replaced || e.class == immutable || e.class == naming
		}
	}
	return false
}

// TestPropertiesAgainstModels holds the inventory to AWS: what is replaced is create-only in CloudFormation's registry and taken by no call that
// updates such a thing, or the inventory says why it is replaced all the same; what is changed by a call is not create-only, and the call takes
// it. Every row names its property, or says why it has none.
func TestPropertiesAgainstModels(t *testing.T) {
	t.Parallel()
	if modelcheck.CreateOnly(t, ofNodegroup) == nil {
		return // there are no models, as the log says
	}
	left := properties()
	for _, e := range inventory(t) {
		p, known := left[e.path]
		delete(left, e.path)
		switch {
		case known != about(e):
			t.Errorf("%s: a property is known: %v", e.path, known)
			continue
		case !known, p.none != "" && e.class == naming:
			continue
		case p.none == "" && !modelcheck.Settable(t, p.of, p.name):
			t.Errorf("%s: %s has no property %s", e.path, p.of, p.name)
			continue
		}
		judge(t, e, p)
	}
	for path := range left {
		t.Errorf("%s is no row", path)
	}
}

// judge compares a row with what AWS says of its property.
func judge(t *testing.T, e entry, p awsProperty) {
	t.Helper()
	fixed := p.none == "" && p.fixed(t)
	service, _, _ := strings.Cut(e.by, ":")
	switch e.class {
	case replaced:
		inPlace := !fixed || slices.ContainsFunc(updating()[p.of], func(call string) bool { return p.takenBy(t, call) })
		if inPlace != (p.why != "") {
			t.Errorf("%s: AWS can change %s %s in place: %v, and the inventory says why it is replaced all the same: %q", e.path, p.of, p.name, inPlace, p.why)
		}
		if (p.why == inTemplate) != (p.of == ofTemplate) {
			t.Errorf("%s is a property of %s, and the inventory says %q", e.path, p.of, p.why)
		}
	case naming:
		if !fixed {
			t.Errorf("%s: it names the thing, and AWS can change %s %s", e.path, p.of, p.name)
		}
	case mutable:
		if p.why != "" {
			t.Errorf("%s is changed by %s, and the inventory says why it is replaced", e.path, e.by)
		}
		// CloudFormation replaces what it has to, in the stack.
		if fixed && e.by != byStack {
			t.Errorf("%s: %s changes it, and CloudFormation calls %s %s create-only", e.path, e.by, p.of, p.name)
		}
		if (service == "eks" || service == "autoscaling") && !p.takenBy(t, e.by) {
			t.Errorf("%s: %s does not take %s", e.path, e.by, p.name)
		}
	default:
		t.Errorf("%s: nothing is known of such a field", e.path)
	}
}

// TestUpdatesAreAccountedFor: all that a call takes which changes such a thing in place is a row of the inventory, or nothing that a file says.
func TestUpdatesAreAccountedFor(t *testing.T) {
	t.Parallel()
	unused := notOfFiles()
	for of, calls := range updating() {
		for _, call := range calls {
			for _, member := range modelcheck.Takes(t, call) {
				said := false
				for name := range notOfFiles() {
					if names(name, member) {
						said = true
						delete(unused, name)
					}
				}
				for _, p := range properties() {
					said = said || p.of == of && (names(strings.ReplaceAll(p.name, "/", "."), member) || p.member != "" && names(p.member, member))
				}
				if !said {
					t.Errorf("%s takes %s, and nothing says what that is", call, member)
				}
			}
		}
	}
	if modelcheck.CreateOnly(t, ofNodegroup) == nil {
		return // there are no models, as the log says
	}
	for name := range unused {
		t.Errorf("no call takes %s", name)
	}
}
