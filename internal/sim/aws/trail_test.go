package aws_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	ctypes "github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/internal/sim/aws/simtest"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

func TestTrail(t *testing.T) {
	t.Parallel()
	s := simtest.Start(t, aws.Options{})
	keysOf, trail := kms.NewFromConfig(s.Config()), cloudtrail.NewFromConfig(s.Config())
	made, err := keysOf.CreateKey(t.Context(), &kms.CreateKeyInput{Description: sdk.String("traced")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keysOf.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: sdk.String("alias/a"), TargetKeyId: sdk.String("none")}); code(err) != "NotFoundException" {
		t.Fatal(err)
	}
	lookup := func(key ctypes.LookupAttributeKey, value string) []ctypes.Event {
		out, err := trail.LookupEvents(t.Context(), &cloudtrail.LookupEventsInput{LookupAttributes: []ctypes.LookupAttribute{{AttributeKey: key, AttributeValue: &value}}})
		if err != nil {
			t.Fatal(err)
		}
		return out.Events
	}
	if events := lookup(ctypes.LookupAttributeKeyEventSource, "kms.amazonaws.com"); len(events) != 0 {
		t.Errorf("%d events before their delivery", len(events))
	}
	s.Clock.Move(3 * time.Minute)
	if events := lookup(ctypes.LookupAttributeKeyEventSource, "kms.amazonaws.com"); len(events) != 2 || *events[0].EventName != "CreateAlias" {
		t.Errorf("%+v", events)
	}
	if events := lookup(ctypes.LookupAttributeKeyResourceName, *made.KeyMetadata.KeyId); len(events) != 1 || *events[0].EventName != "CreateKey" || *events[0].Username != "admin" {
		t.Errorf("%+v", events)
	}
	failed := lookup(ctypes.LookupAttributeKeyEventName, "CreateAlias")
	if len(failed) != 1 || !strings.Contains(*failed[0].CloudTrailEvent, `"errorCode":"NotFoundException"`) {
		t.Errorf("%+v", failed)
	}
	page, err := trail.LookupEvents(t.Context(), &cloudtrail.LookupEventsInput{MaxResults: sdk.Int32(1)})
	if err != nil || len(page.Events) != 1 || page.NextToken == nil {
		t.Fatalf("%+v, %v", page, err)
	}
	if _, err := keysOf.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: sdk.String("alias/newer"), TargetKeyId: made.KeyMetadata.KeyId}); err != nil {
		t.Fatal(err)
	}
	s.Clock.Move(3 * time.Minute) // a newer event is delivered between the two pages
	next, err := trail.LookupEvents(t.Context(), &cloudtrail.LookupEventsInput{MaxResults: sdk.Int32(1), NextToken: page.NextToken})
	if err != nil || len(next.Events) != 1 || *next.Events[0].EventId == *page.Events[0].EventId || next.NextToken != nil {
		t.Errorf("%+v, %v", next, err)
	}
}

// TestTrailForgetsBetweenPages reads the whole history while newer events push out the oldest: what is left is told once each.
func TestTrailForgetsBetweenPages(t *testing.T) {
	t.Parallel()
	s := simtest.Start(t, aws.Options{})
	happen := func(from, to int) {
		t.Helper()
		err := s.World.Do(true, func() error {
			for n := from; n < to; n++ {
				s.World.Trail(world.TrailEvent{ID: strconv.Itoa(n), Name: "CreateThing", Source: "thing.amazonaws.com"})
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		s.Clock.Move(3 * time.Minute)
	}
	happen(0, 1000)
	trail := cloudtrail.NewFromConfig(s.Config())
	var got, want []string
	for in := (&cloudtrail.LookupEventsInput{}); ; {
		page, err := trail.LookupEvents(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Events {
			got = append(got, *e.EventId)
		}
		if in.NextToken == nil {
			happen(1000, 1010)
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			break
		}
	}
	for n := 999; n >= 10; n-- {
		want = append(want, strconv.Itoa(n))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
