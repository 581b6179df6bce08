package eks

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// actionOf are the IAM actions of calls that have another name.
func actionOf(service, operation string) string {
	if operation == "DeleteMessageBatch" {
		return "sqs:DeleteMessage"
	}
	prefix := map[string]string{"cfn": "cloudformation", "asg": "autoscaling", "cloudwatchlogs": "logs", "elb": "elasticloadbalancing", "elbv2": "elasticloadbalancing"}[service]
	if prefix == "" {
		prefix = service
	}
	return prefix + ":" + operation
}

// TestPolicyFollowsTheCalls compares deploy/iam-policy.json with the calls in this package's source: what is called is allowed,
// and what is allowed is called, by this package, by eksctl for it, or by CloudFormation (those are checked end to end, in lab/e2e).
func TestPolicyFollowsTheCalls(t *testing.T) {
	t.Parallel()
	called := map[string]bool{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	direct := regexp.MustCompile(`\.(eks|cfn|ec2|iam|asg|elb|elbv2|logs|ssm|sts|sqs|cloudtrail)\.([A-Z]\w+)\(`)
	paged := regexp.MustCompile(`\b(eks|cloudformation|ec2|elb|elbv2|iam|autoscaling|cloudwatchlogs|ssm)\.New(\w+)Paginator\(`)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range slices.Concat(direct.FindAllSubmatch(source, -1), paged.FindAllSubmatch(source, -1)) {
			called[actionOf(string(m[1]), string(m[2]))] = true
		}
	}
	if len(called) < 30 {
		t.Fatalf("%d calls were found; the check would prove nothing", len(called))
	}
	for _, action := range []string{
		// eksctl: its stacks, and what it asks on the way to a template.
		"cloudformation:CreateStack", "cloudformation:DeleteStack",
		"ec2:DescribeImages", "ec2:DescribeInstanceTypes", "ec2:DescribeVpcs", "ssm:GetParameter",
		// The tags of an OpenID Connect provider are set by the call that makes it.
		"iam:TagOpenIDConnectProvider",
		// Giving a role to EKS, and EKS's own look at it (pod identity associations, addons).
		"iam:PassRole", "iam:GetRole",
	} {
		called[action] = true
	}

	text, err := os.ReadFile("../../deploy/iam-policy.json")
	if err != nil {
		t.Fatal(err)
	}
	var policy struct {
		Statement []struct {
			Sid    string
			Action []string
		}
	}
	if err := json.Unmarshal(text, &policy); err != nil {
		t.Fatal(err)
	}
	allowed := map[string]bool{}
	for _, s := range policy.Statement {
		if strings.HasPrefix(s.Sid, "Stacks") || s.Sid == "LetServicesWork" {
			continue // CloudFormation's
		}
		for _, action := range s.Action {
			if allowed[action] = true; !called[action] {
				t.Errorf("statement %s allows %s, which nothing calls", s.Sid, action)
			}
		}
	}
	for action := range called {
		if !allowed[action] {
			t.Errorf("%s is called and not allowed", action)
		}
	}
}
