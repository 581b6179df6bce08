package logs_test

import (
	"errors"
	"fmt"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/internal/sim/aws/simtest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func refused(t *testing.T, err error, want string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	s := simtest.Start(t, aws.Options{})
	c := cloudwatchlogs.NewFromConfig(s.Config())
	name := sdk.String("/aws/eks/c1/cluster")
	must(t, s.World.Do(true, func() error { return s.Logs.Ensure(*name) }))
	must(t, s.World.Do(true, func() error { return s.Logs.Ensure(*name) }))
	_, err := c.CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: name})
	refused(t, err, "ResourceAlreadyExistsException")
	_, err = c.CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: sdk.String("a b")})
	refused(t, err, "InvalidParameterException")
	_, err = c.PutRetentionPolicy(t.Context(), &cloudwatchlogs.PutRetentionPolicyInput{LogGroupName: name, RetentionInDays: sdk.Int32(8)})
	refused(t, err, "InvalidParameterException")
	retention := func() int32 {
		out, err := c.DescribeLogGroups(t.Context(), &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: name})
		must(t, err)
		if len(out.LogGroups) != 1 || *out.LogGroups[0].LogGroupArn+":*" != *out.LogGroups[0].Arn {
			t.Fatalf("%+v", out.LogGroups)
		}
		return sdk.ToInt32(out.LogGroups[0].RetentionInDays)
	}
	_, err = c.PutRetentionPolicy(t.Context(), &cloudwatchlogs.PutRetentionPolicyInput{LogGroupName: name, RetentionInDays: sdk.Int32(7)})
	must(t, err)
	if n := retention(); n != 7 {
		t.Error(n)
	}
	_, err = c.DeleteRetentionPolicy(t.Context(), &cloudwatchlogs.DeleteRetentionPolicyInput{LogGroupName: name})
	must(t, err)
	if n := retention(); n != 0 {
		t.Error(n)
	}
	_, err = c.DeleteLogGroup(t.Context(), &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: name})
	must(t, err)
	_, err = c.DeleteLogGroup(t.Context(), &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: name})
	refused(t, err, "ResourceNotFoundException")
}

func TestPagesAndTags(t *testing.T) {
	t.Parallel()
	s := simtest.Start(t, aws.Options{})
	c := cloudwatchlogs.NewFromConfig(s.Config())
	for i := range 5 {
		_, err := c.CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: sdk.String(fmt.Sprintf("g%d", i)), Tags: map[string]string{"a": "1"}})
		must(t, err)
	}
	var got []string
	pages := cloudwatchlogs.NewDescribeLogGroupsPaginator(c, &cloudwatchlogs.DescribeLogGroupsInput{Limit: sdk.Int32(2)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		must(t, err)
		for _, g := range page.LogGroups {
			got = append(got, *g.LogGroupName)
		}
	}
	if diff := cmp.Diff([]string{"g0", "g1", "g2", "g3", "g4"}, got); diff != "" {
		t.Error(diff)
	}
	_, err := c.DescribeLogGroups(t.Context(), &cloudwatchlogs.DescribeLogGroupsInput{NextToken: sdk.String("g1")})
	refused(t, err, "InvalidParameterException")
	arn := sdk.String("arn:aws:logs:us-west-2:111122223333:log-group:g0")
	_, err = c.TagResource(t.Context(), &cloudwatchlogs.TagResourceInput{ResourceArn: arn, Tags: map[string]string{"b": "2"}})
	must(t, err)
	_, err = c.UntagResource(t.Context(), &cloudwatchlogs.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"a"}})
	must(t, err)
	tags, err := c.ListTagsForResource(t.Context(), &cloudwatchlogs.ListTagsForResourceInput{ResourceArn: arn})
	must(t, err)
	if diff := cmp.Diff(map[string]string{"b": "2"}, tags.Tags); diff != "" {
		t.Error(diff)
	}
}
