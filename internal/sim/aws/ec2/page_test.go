package ec2_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
)

// pages asks for one page after the other until there is none left; change is what happens behind the first.
func pages(ask func(token *string) (names []string, next *string), change func()) []string {
	out, next := ask(nil)
	change()
	for next != nil {
		var names []string
		names, next = ask(next)
		out = append(out, names...)
	}
	return out
}

// TestVpcsLeaveBetweenPages takes VPCs away that were shown: the others are shown once each, whatever their positions.
func TestVpcsLeaveBetweenPages(t *testing.T) {
	t.Parallel()
	c := newCloud(t, aws.Options{})
	var made []string
	for range 14 {
		made = append(made, c.vpc())
	}
	slices.Sort(made)
	got := pages(func(token *string) (ids []string, next *string) {
		out := call(c, c.DescribeVpcs, &ec2.DescribeVpcsInput{MaxResults: new(int32(5)), NextToken: token})
		for _, v := range out.Vpcs {
			ids = append(ids, *v.VpcId)
		}
		return ids, out.NextToken
	}, func() {
		for _, id := range made[:4] {
			call(c, c.DeleteVpc, &ec2.DeleteVpcInput{VpcId: &id})
		}
	})
	if diff := cmp.Diff(made, got); diff != "" {
		t.Error(diff)
	}
	refused(c, "InvalidNextToken", c.DescribeVpcs, &ec2.DescribeVpcsInput{NextToken: new("5")})
}

// TestTagsLeaveBetweenPages lists tags while those already shown are deleted.
func TestTagsLeaveBetweenPages(t *testing.T) {
	t.Parallel()
	c := newCloud(t, aws.Options{})
	vpc := c.vpc()
	var made []string
	var tags []types.Tag
	for i := range 9 {
		key := fmt.Sprintf("k%d", i)
		made, tags = append(made, key), append(tags, types.Tag{Key: &key, Value: new("v")})
	}
	call(c, c.CreateTags, &ec2.CreateTagsInput{Resources: []string{vpc}, Tags: tags})
	got := pages(func(token *string) (keys []string, next *string) {
		out := call(c, c.DescribeTags, &ec2.DescribeTagsInput{MaxResults: new(int32(5)), NextToken: token})
		for _, tag := range out.Tags {
			keys = append(keys, *tag.Key)
		}
		return keys, out.NextToken
	}, func() { call(c, c.DeleteTags, &ec2.DeleteTagsInput{Resources: []string{vpc}, Tags: tags[:5]}) })
	if diff := cmp.Diff(made, got); diff != "" {
		t.Error(diff)
	}
}

// TestVersionsComeBetweenPages lists the versions of a launch template, newest first, while newer ones come.
func TestVersionsComeBetweenPages(t *testing.T) {
	t.Parallel()
	c := newCloud(t, aws.Options{})
	data := &types.RequestLaunchTemplateData{InstanceType: types.InstanceTypeM5Large}
	call(c, c.CreateLaunchTemplate, &ec2.CreateLaunchTemplateInput{LaunchTemplateName: new("nodes"), LaunchTemplateData: data})
	next := func() {
		call(c, c.CreateLaunchTemplateVersion, &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateName: new("nodes"), LaunchTemplateData: data})
	}
	want := []string{"1"}
	for n := 2; n <= 12; n++ {
		next()
		want = append(want, fmt.Sprint(n))
	}
	slices.Reverse(want)
	got := pages(func(token *string) (numbers []string, next *string) {
		out := call(c, c.DescribeLaunchTemplateVersions, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: new("nodes"), MaxResults: new(int32(5)), NextToken: token})
		for _, v := range out.LaunchTemplateVersions {
			numbers = append(numbers, fmt.Sprint(*v.VersionNumber))
		}
		return numbers, out.NextToken
	}, next)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
