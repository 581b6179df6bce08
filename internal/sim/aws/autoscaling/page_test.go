package autoscaling_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/google/go-cmp/cmp"
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

// TestGroupsLeaveBetweenPages deletes groups that were shown: the others are shown once each, whatever their positions.
func TestGroupsLeaveBetweenPages(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	var made []string
	for i := range 5 {
		name := fmt.Sprintf("nodes-%d", i)
		made = append(made, name)
		in := f.request(0, 0)
		in.AutoScalingGroupName = &name
		call(f, f.CreateAutoScalingGroup, in)
	}
	got := pages(func(token *string) (names []string, next *string) {
		out := call(f, f.DescribeAutoScalingGroups, &autoscaling.DescribeAutoScalingGroupsInput{MaxRecords: new(int32(2)), NextToken: token})
		for _, g := range out.AutoScalingGroups {
			names = append(names, *g.AutoScalingGroupName)
		}
		return names, out.NextToken
	}, func() {
		call(f, f.DeleteAutoScalingGroup, &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: &made[0]})
		f.sim.Settle(f, time.Second, time.Hour, func() bool {
			out := call(f, f.DescribeAutoScalingGroups, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: made[:1]})
			return len(out.AutoScalingGroups) == 0
		})
	})
	if diff := cmp.Diff(made, got); diff != "" {
		t.Error(diff)
	}
	refused(f, "InvalidNextToken", "The token '2' is invalid.", f.DescribeAutoScalingGroups, &autoscaling.DescribeAutoScalingGroupsInput{NextToken: new("2")})
}

// TestActivitiesComeBetweenPages lists a group's activities, newest first, while newer ones come.
func TestActivitiesComeBetweenPages(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	call(f, f.CreateAutoScalingGroup, f.request(3, 9))
	f.stable(3)
	ask := func(token *string) (ids []string, next *string) {
		out := call(f, f.DescribeScalingActivities, &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: new(groupName), MaxRecords: new(int32(1)), NextToken: token})
		for _, a := range out.Activities {
			ids = append(ids, *a.ActivityId)
		}
		return ids, out.NextToken
	}
	want := pages(ask, func() {})
	if len(want) < 3 || len(slices.Compact(slices.Sorted(slices.Values(want)))) != len(want) {
		t.Fatalf("activities are %q", want)
	}
	got := pages(ask, func() {
		call(f, f.SetDesiredCapacity, &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: new(groupName), DesiredCapacity: new(int32(5))})
		f.stable(5)
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
