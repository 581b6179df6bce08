package kms_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

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

func start(t *testing.T) (*simtest.Sim, *kms.Client, *types.KeyMetadata) {
	t.Helper()
	s := simtest.Start(t, aws.Options{})
	c := kms.NewFromConfig(s.Config())
	out, err := c.CreateKey(t.Context(), &kms.CreateKeyInput{Description: sdk.String("d"), Tags: []types.Tag{{TagKey: sdk.String("a"), TagValue: sdk.String("1")}}})
	must(t, err)
	return s, c, out.KeyMetadata
}

func TestNames(t *testing.T) {
	t.Parallel()
	s, c, key := start(t)
	_, err := c.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: sdk.String("alias/secrets"), TargetKeyId: key.Arn})
	must(t, err)
	for _, name := range []string{*key.KeyId, *key.Arn, "alias/secrets", "arn:aws:kms:us-west-2:111122223333:alias/secrets"} {
		got, err := c.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &name})
		if err != nil || *got.KeyMetadata.Arn != *key.Arn {
			t.Errorf("%s: %v", name, err)
		}
		s.World.Look(func() {
			if arn, state, ok := s.KMS.Key(name); !ok || arn != *key.Arn || state != "Enabled" {
				t.Errorf("%s: %s %s %v", name, arn, state, ok)
			}
		})
	}
	_, err = c.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: sdk.String("alias/none")})
	refused(t, err, "NotFoundException")
	_, err = c.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: sdk.String("alias/secrets"), TargetKeyId: key.Arn})
	refused(t, err, "AlreadyExistsException")
	for _, bad := range []string{"secrets", "alias/", "alias/aws/x"} {
		_, err = c.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: &bad, TargetKeyId: key.Arn})
		if err == nil {
			t.Errorf("alias %s was made", bad)
		}
	}
	all, err := c.ListAliases(t.Context(), &kms.ListAliasesInput{KeyId: key.KeyId})
	must(t, err)
	if len(all.Aliases) != 1 || *all.Aliases[0].AliasArn != "arn:aws:kms:us-west-2:111122223333:alias/secrets" {
		t.Errorf("%+v", all.Aliases)
	}
	_, err = c.DeleteAlias(t.Context(), &kms.DeleteAliasInput{AliasName: sdk.String("alias/secrets")})
	must(t, err)
	_, err = c.DeleteAlias(t.Context(), &kms.DeleteAliasInput{AliasName: sdk.String("alias/secrets")})
	refused(t, err, "NotFoundException")
}

func TestKeyLife(t *testing.T) {
	t.Parallel()
	s, c, key := start(t)
	state := func() types.KeyState {
		out, err := c.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: key.KeyId})
		must(t, err)
		if out.KeyMetadata.Enabled != (out.KeyMetadata.KeyState == types.KeyStateEnabled) {
			t.Errorf("enabled %v in state %s", out.KeyMetadata.Enabled, out.KeyMetadata.KeyState)
		}
		return out.KeyMetadata.KeyState
	}
	_, err := c.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: key.KeyId})
	must(t, err)
	if got := state(); got != types.KeyStateDisabled {
		t.Error(got)
	}
	_, err = c.EnableKey(t.Context(), &kms.EnableKeyInput{KeyId: key.KeyId})
	must(t, err)
	_, err = c.ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: key.KeyId, PendingWindowInDays: sdk.Int32(6)})
	refused(t, err, "ValidationException")
	_, err = c.ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: key.KeyId, PendingWindowInDays: sdk.Int32(7)})
	must(t, err)
	_, err = c.EnableKey(t.Context(), &kms.EnableKeyInput{KeyId: key.KeyId})
	refused(t, err, "KMSInvalidStateException")
	_, err = c.CancelKeyDeletion(t.Context(), &kms.CancelKeyDeletionInput{KeyId: key.KeyId})
	must(t, err)
	_, err = c.CancelKeyDeletion(t.Context(), &kms.CancelKeyDeletionInput{KeyId: key.KeyId})
	refused(t, err, "KMSInvalidStateException")
	if got := state(); got != types.KeyStateDisabled {
		t.Error(got)
	}
	_, err = c.ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: key.KeyId, PendingWindowInDays: sdk.Int32(7)})
	must(t, err)
	s.Clock.Move(7*24*time.Hour - time.Second)
	if got := state(); got != types.KeyStatePendingDeletion {
		t.Error(got)
	}
	s.Clock.Move(time.Second)
	_, err = c.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: key.KeyId})
	refused(t, err, "NotFoundException")
}

func TestListsAndTags(t *testing.T) {
	t.Parallel()
	_, c, key := start(t)
	for range 2 {
		_, err := c.CreateKey(t.Context(), &kms.CreateKeyInput{})
		must(t, err)
	}
	seen := map[string]bool{}
	pages := kms.NewListKeysPaginator(c, &kms.ListKeysInput{Limit: sdk.Int32(2)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		must(t, err)
		for _, k := range page.Keys {
			seen[*k.KeyId] = true
		}
	}
	if len(seen) != 3 {
		t.Errorf("%v", seen)
	}
	_, err := c.ListKeys(t.Context(), &kms.ListKeysInput{Marker: key.KeyId})
	refused(t, err, "InvalidMarkerException")
	_, err = c.ListAliases(t.Context(), &kms.ListAliasesInput{Marker: key.KeyId})
	refused(t, err, "InvalidMarkerException")
	_, err = c.ListResourceTags(t.Context(), &kms.ListResourceTagsInput{KeyId: key.KeyId, Marker: sdk.String("a")})
	refused(t, err, "InvalidMarkerException")
	_, err = c.TagResource(t.Context(), &kms.TagResourceInput{KeyId: key.KeyId, Tags: []types.Tag{{TagKey: sdk.String("b"), TagValue: sdk.String("2")}}})
	must(t, err)
	_, err = c.UntagResource(t.Context(), &kms.UntagResourceInput{KeyId: key.KeyId, TagKeys: []string{"a"}})
	must(t, err)
	tags, err := c.ListResourceTags(t.Context(), &kms.ListResourceTagsInput{KeyId: key.KeyId})
	must(t, err)
	if len(tags.Tags) != 1 || *tags.Tags[0].TagKey != "b" {
		t.Errorf("%+v", tags.Tags)
	}
	_, err = c.CreateKey(t.Context(), &kms.CreateKeyInput{KeySpec: types.KeySpecRsa2048})
	refused(t, err, "NotImplemented")
	if !strings.Contains(err.Error(), "RSA_2048") {
		t.Error(err)
	}
}
