// Package kinds has a ClusterConfig of every kind of cluster that eksctl's public examples show, to be made, read, and taken
// down again by tests.
//
// Input is an account, in which Prepare makes what such a file takes for granted: a VPC, roles, keys, a launch template. Outputs are
// files for a cluster's name and region.
//
// Invariant: each file says which of eksctl's examples it is made after. What it differs in is size, since tests count no nodes,
// and what Amazon does not offer any more. Left out are the examples of what this product does not manage: Outposts (35, 36, 37), Windows
// (14, 32), and what eksctl brings into a cluster, Flux (12) and Karpenter (29).
package kinds

import (
	"context"
	"embed"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"sigs.k8s.io/yaml"
)

//go:embed *.yaml ground.json
var files embed.FS

// Names are the kinds there are.
func Names() ([]string, error) {
	list, err := files.ReadDir(".")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, f := range list {
		if name, isConfig := strings.CutSuffix(f.Name(), ".yaml"); isConfig {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out, nil
}

// Config is the file for a cluster that is of these kinds at once.
func Config(g Ground, cluster, region string, names ...string) (string, error) {
	var whole any
	for _, name := range names {
		body, err := files.ReadFile(name + ".yaml")
		if err != nil {
			return "", err
		}
		text, err := g.expand(string(body), cluster, region)
		if err != nil {
			return "", fmt.Errorf("the kind %s: %w", name, err)
		}
		var one map[string]any
		if err := yaml.Unmarshal([]byte(text), &one); err != nil {
			return "", fmt.Errorf("the kind %s: %w", name, err)
		}
		if whole, err = merge(whole, one); err != nil {
			return "", fmt.Errorf("the kind %s: %w", name, err)
		}
	}
	body, err := yaml.Marshal(whole)
	return string(body), err
}

// merge joins two files: lists one after the other, but each item once.
func merge(a, b any) (any, error) {
	switch more := b.(type) {
	case map[string]any:
		have, ok := a.(map[string]any)
		if a != nil && !ok {
			break
		}
		out := maps.Clone(more)
		for key, value := range have {
			merged, err := merge(value, more[key])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
			out[key] = merged
		}
		return out, nil
	case []any:
		have, ok := a.([]any)
		if a != nil && !ok {
			break
		}
		out := slices.Clone(have)
		for _, item := range more {
			if !slices.ContainsFunc(have, func(h any) bool { return reflect.DeepEqual(h, item) }) {
				out = append(out, item)
			}
		}
		return out, nil
	}
	switch {
	case b == nil:
		return a, nil
	case a == nil, reflect.DeepEqual(a, b):
		return b, nil
	}
	return nil, fmt.Errorf("%v and %v", a, b)
}

// Ground is what an account has, by the names that the files use.
type Ground map[string]string

func (g Ground) expand(text, cluster, region string) (string, error) {
	missing := ""
	out := os.Expand(text, func(name string) string {
		switch name {
		case "name":
			return cluster
		case "region":
			return region
		}
		if g[name] == "" {
			missing = name
		}
		return g[name]
	})
	if missing != "" {
		return "", fmt.Errorf("there is no %s to put into it", missing)
	}
	return out, nil
}

// publicKey is one whose private key nobody has.
const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICgoAlBanb8Eda36kjTBfDkgi/HSSUYhs7fpH+F02lG9 kinds"

// groundStack is the stack that makes most of it.
const groundStack = "ground"

// Prepare makes the ground within a minute. wait is called while the stack is not complete.
func Prepare(ctx context.Context, cfg sdk.Config, wait func()) (Ground, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	template, err := files.ReadFile("ground.json")
	if err != nil {
		return nil, err
	}
	stacks := cloudformation.NewFromConfig(cfg)
	_, err = stacks.CreateStack(ctx, &cloudformation.CreateStackInput{
		StackName: sdk.String(groundStack), TemplateBody: sdk.String(string(template)), Capabilities: []types.Capability{types.CapabilityCapabilityIam},
	})
	if err != nil {
		return nil, err
	}
	key, err := kms.NewFromConfig(cfg).CreateKey(ctx, &kms.CreateKeyInput{})
	if err != nil {
		return nil, err
	}
	machines := ec2.NewFromConfig(cfg)
	pair, err := machines.ImportKeyPair(ctx, &ec2.ImportKeyPairInput{KeyName: sdk.String("ec2_dev_key"), PublicKeyMaterial: []byte(publicKey)})
	if err != nil {
		return nil, err
	}
	image, err := ssm.NewFromConfig(cfg).GetParameter(ctx, &ssm.GetParameterInput{
		Name: sdk.String("/aws/service/eks/optimized-ami/1.34/amazon-linux-2023/x86_64/standard/recommended/image_id"),
	})
	if err != nil {
		return nil, err
	}
	_, err = machines.ModifyAvailabilityZoneGroup(ctx, &ec2.ModifyAvailabilityZoneGroupInput{GroupName: sdk.String("us-west-2-lax-1"), OptInStatus: "opted-in"})
	if err != nil {
		return nil, err
	}
	g := Ground{"Key": *key.KeyMetadata.Arn, "KeyPair": *pair.KeyName, "Image": *image.Parameter.Value}
	for ; ; wait() {
		out, err := stacks.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: sdk.String(groundStack)})
		if err != nil {
			return nil, err
		}
		switch s := out.Stacks[0]; {
		case s.StackStatus == types.StackStatusCreateComplete:
			for _, o := range s.Outputs {
				g[*o.OutputKey] = *o.OutputValue
			}
			return g, nil
		case s.StackStatus != types.StackStatusCreateInProgress:
			return nil, fmt.Errorf("the stack %s is %s", groundStack, s.StackStatus)
		}
	}
}
