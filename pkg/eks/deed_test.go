package eks

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// told is an event as EventBridge sends it.
func told(source, name, parameters string) string {
	return fmt.Sprintf(`{"version": "0", "detail-type": "AWS API Call via CloudTrail", "new": 1, "detail": {"eventSource": "%s.amazonaws.com", "eventName": %q,
		"eventTime": "2026-08-07T10:00:00Z", "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/alice"}, "requestParameters": %s}}`, source, name, parameters)
}

// TestAbout: an event is about the cluster that it names, by whatever it names it; one that names nothing known is about all.
func TestAbout(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.Groups["batch"] = &group{Name: "batch", Scaling: &astypes.AutoScalingGroup{AutoScalingGroupName: aws.String("eks-batch-1")}}
	here := []follower{{"dev", &Cloud{}}, {"dev-east", &Cloud{world: w}}}
	for _, tt := range []struct {
		source, parameters string
		want               string
		elsewhere          bool
	}{
		{"eks", `{"name": "dev", "nodegroupName": "system"}`, "dev", false},
		{"eks", `{"clusterName": "dev-east", "name": "x"}`, "dev-east", false},
		{"eks", `{"name": "prod"}`, "", true},
		{"eks", `{"resourceArn": "arn:aws:eks:eu-west-1:111122223333:cluster/dev"}`, "dev", false},
		{"eks", `{"resourceArn": "arn%3Aaws%3Aeks%3Aeu-west-1%3A111122223333%3Anodegroup%2Fdev%2Fsystem%2F1"}`, "dev", false},
		{"eks", `{}`, "dev dev-east", false},
		{"eks", `"omitted"`, "dev dev-east", false},
		{"cloudformation", `{"stackName": "eksctl-dev-cluster"}`, "dev", false},
		{"cloudformation", `{"stackName": "eksctl-dev-east-nodegroup-a"}`, "dev-east", false},
		{"cloudformation", `{"stackName": "arn:aws:cloudformation:eu-west-1:111122223333:stack/eksctl-dev-cluster/0a"}`, "dev", false},
		{"cloudformation", `{"stackName": "eksctl-prod-cluster"}`, "", true},
		{"cloudformation", `{"stackName": "website"}`, "", false},
		{"autoscaling", `{"autoScalingGroupName": "eks-batch-1"}`, "dev-east", false},
		{"autoscaling", `{"autoScalingGroupName": "eksctl-dev-nodegroup-x-NodeGroup-1"}`, "dev", false},
		{"autoscaling", `{"autoScalingGroupName": "eks-other-1"}`, "dev dev-east", false},
		{"iam", `{"roleName": "eksctl-dev-cluster-ServiceRole-1"}`, "dev", false},
		{"ec2", `null`, "dev dev-east", false},
	} {
		d, ok := readEvent(told(tt.source, "Change", tt.parameters))
		if !ok {
			t.Errorf("%s %s cannot be read", tt.source, tt.parameters)
		}
		of, elsewhere := d.about(here)
		got := ""
		for i, f := range of {
			if i > 0 {
				got += " "
			}
			got += f.name
		}
		if got != tt.want || elsewhere != tt.elsewhere {
			t.Errorf("%s %s is about %q, elsewhere %v", tt.source, tt.parameters, got, elsewhere)
		}
	}
	for _, body := range []string{"", "null", "hello", `{"detail": 1}`, `{"detail": {}}`} {
		if _, ok := readEvent(body); ok {
			t.Errorf("%q is taken for an event", body)
		}
	}
}

// TestConcerns: a call is somebody's doing only of the thing that it changes, not of others that it names.
func TestConcerns(t *testing.T) {
	t.Parallel()
	cluster, group, addon, capability := ref("dev", KindCluster, "dev"), ref("dev", KindNodegroup, "dev"), ref("dev", KindAddon, "dev"), ref("dev", KindCapability, "dev")
	for _, tt := range []struct {
		source, name, parameters string
		want                     []gitops.Ref
	}{
		{"eks", "UpdateClusterConfig", `{"name": "dev"}`, []gitops.Ref{cluster}},
		{"eks", "UpdateClusterConfig", `{"name": "prod"}`, nil},
		{"eks", "UpdateNodegroupConfig", `{"name": "dev", "nodegroupName": "dev"}`, []gitops.Ref{group}},
		{"eks", "UpdateNodegroupConfig", `{"name": "dev", "nodegroupName": "other"}`, nil},
		{"eks", "UpdateAddon", `{"name": "dev", "addonName": "dev"}`, []gitops.Ref{addon}},
		{"eks", "UpdateCapability", `{"name": "dev", "capabilityName": "dev"}`, []gitops.Ref{capability}},
		{"eks", "TagResource", `{"resourceArn": "arn:aws:eks:eu-west-1:111122223333:cluster/dev"}`, []gitops.Ref{cluster}},
		{"eks", "TagResource", `{"resourceArn": "arn:aws:eks:eu-west-1:111122223333:capability/dev/dev/1"}`, []gitops.Ref{capability}},
		{"eks", "TagResource", `{"resourceArn": "arn:aws:eks:eu-west-1:111122223333:nodegroup/dev/dev/1"}`, []gitops.Ref{group}},
		{"eks", "TagResource", `{"resourceArn": "arn:aws:eks:eu-west-1:111122223333:addon/dev/dev/1"}`, []gitops.Ref{addon}},
		{"autoscaling", "SetDesiredCapacity", `{"autoScalingGroupName": "eks-dev-1"}`, []gitops.Ref{group}},
		{"redshift", "UpdateClusterConfig", `{"name": "dev"}`, nil},
	} {
		d, _ := readEvent(told(tt.source, tt.name, tt.parameters))
		var got []gitops.Ref
		for _, r := range []gitops.Ref{cluster, group, addon, capability} {
			names := []string{"dev"}
			if r == group {
				names = append(names, "eks-dev-1")
			}
			if d.concerns(r, names) {
				got = append(got, r)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s %s: %s", tt.name, tt.parameters, diff)
		}
	}
}

// TestOwnDeeds: this program's calls are those of its identity that carry its name, or that a service made in its name.
func TestOwnDeeds(t *testing.T) {
	t.Parallel()
	const role, user = "arn:aws:sts::111122223333:assumed-role/reconciler/pod-1", "arn:aws:iam::111122223333:user/ops"
	ours, sdk := "aws-sdk-go-v2/1.41.3 os/linux api/eks#1.80.2 app/reconciler m/E", "aws-cli/2.15 app/reconciler-x"
	for _, tt := range []struct {
		name   string
		d      deed
		caller string
		want   bool
		owner  string
	}{
		{"our call", deed{Who: principal{ARN: role}, Agent: ours}, role, true, "assumed-role/reconciler/pod-1"},
		{"CloudFormation for us", deed{Who: principal{ARN: role, InvokedBy: "cloudformation.amazonaws.com"}, Agent: "cloudformation.amazonaws.com"}, role, true, "assumed-role/reconciler/pod-1"},
		{"a person with our identity", deed{Who: principal{ARN: user}, Agent: sdk}, user, false, "user/ops"},
		{"another reconciler", deed{Who: principal{ARN: user}, Agent: ours}, role, false, "user/ops"},
		{"CloudFormation for others", deed{Who: principal{ARN: user, InvokedBy: "cloudformation.amazonaws.com"}}, role, false, "user/ops"},
		{"a service", deed{Who: principal{Type: "AWSService", InvokedBy: "eks.amazonaws.com"}}, role, false, "eks.amazonaws.com"},
		{"before we know who we are", deed{Agent: ours}, "", false, ""},
		{"the account itself", deed{Who: principal{Type: "Root", ARN: "arn:aws:iam::111122223333:root"}}, role, false, "root"},
	} {
		if got := tt.d.by(tt.caller); got != tt.want {
			t.Errorf("%s: ours: %v", tt.name, got)
		}
		if diff := cmp.Diff(gitops.Owner{Manager: tt.owner, At: "0001-01-01T00:00:00Z"}, tt.d.owner()); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

func TestQueueRegion(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"https://sqs.eu-west-1.amazonaws.com/111122223333/reconciler-events":           "eu-west-1",
		"https://eu-west-1.queue.amazonaws.com/111122223333/q":                         "eu-west-1",
		"https://sqs.cn-north-1.amazonaws.com.cn/111122223333/q":                       "cn-north-1",
		"https://vpce-0a1b.sqs.us-gov-west-1.vpce.amazonaws.com/111122223333/q":        "us-gov-west-1",
		"https://vpce-0a1b-eu-west-1a.sqs.eu-west-1.vpce.amazonaws.com/111122223333/q": "eu-west-1",
		"http://127.0.0.1:4566/111122223333/q":                                         "",
		"reconciler-events":                                                            "",
	} {
		if got := QueueRegion(url); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
}
