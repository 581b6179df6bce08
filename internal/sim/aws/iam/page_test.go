package iam_test

import (
	"slices"
	"strconv"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/google/go-cmp/cmp"
)

func TestPagination(t *testing.T) {
	t.Parallel()
	_, c := start(t)
	for i := range 5 {
		makeRole(t, c, "r"+strconv.Itoa(i))
	}
	var got []string
	var sizes []int
	pages := iam.NewListRolesPaginator(c, &iam.ListRolesInput{MaxItems: sdk.Int32(2), PathPrefix: sdk.String("/team/")})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		must(t, err)
		sizes = append(sizes, len(page.Roles))
		for _, r := range page.Roles {
			got = append(got, *r.RoleName)
		}
	}
	if diff := cmp.Diff([]string{"r0", "r1", "r2", "r3", "r4"}, got); diff != "" || !slices.Equal(sizes, []int{2, 2, 1}) {
		t.Errorf("%s pages of %v", diff, sizes)
	}
	_, err := c.ListRoles(t.Context(), &iam.ListRolesInput{Marker: sdk.String("nonsense")})
	refused(t, err, "ValidationError", "Marker")
	_, err = c.ListRoles(t.Context(), &iam.ListRolesInput{MaxItems: sdk.Int32(1001)})
	refused(t, err, "ValidationError", "1000")
}

// TestRolesLeaveBetweenPages deletes roles that were shown and makes one that belongs before them: the others are shown once
// each, whatever their positions.
func TestRolesLeaveBetweenPages(t *testing.T) {
	t.Parallel()
	_, c := start(t)
	want := []string{"b0", "B1", "b2", "B3", "b4"} // names are compared without their case
	for _, name := range want {
		makeRole(t, c, name)
	}
	in := &iam.ListRolesInput{MaxItems: sdk.Int32(2)}
	var got []string
	for {
		page, err := c.ListRoles(t.Context(), in)
		must(t, err)
		for _, r := range page.Roles {
			got = append(got, *r.RoleName)
		}
		if in.Marker = page.Marker; !page.IsTruncated {
			break
		}
		if len(got) == 2 {
			for _, name := range want[:2] {
				_, err := c.DeleteRole(t.Context(), &iam.DeleteRoleInput{RoleName: &name})
				must(t, err)
			}
			makeRole(t, c, "a")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestPolicyVersionsLeaveBetweenPages lists a policy's versions, newest first, while the newest leaves.
func TestPolicyVersionsLeaveBetweenPages(t *testing.T) {
	t.Parallel()
	_, c := start(t)
	made, err := c.CreatePolicy(t.Context(), &iam.CreatePolicyInput{PolicyName: sdk.String("p"), PolicyDocument: sdk.String(grant)})
	must(t, err)
	arn := made.Policy.Arn
	next := func() {
		t.Helper()
		_, err := c.CreatePolicyVersion(t.Context(), &iam.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: sdk.String(grant)})
		must(t, err)
	}
	drop := func(version string) {
		t.Helper()
		_, err := c.DeletePolicyVersion(t.Context(), &iam.DeletePolicyVersionInput{PolicyArn: arn, VersionId: &version})
		must(t, err)
	}
	for n := 2; n <= 10; n++ { // v10 is newer than v9, whatever their names
		next()
		if n > 4 {
			drop("v" + strconv.Itoa(n-3))
		}
	}
	in := &iam.ListPolicyVersionsInput{PolicyArn: arn, MaxItems: sdk.Int32(1)}
	var got []string
	for {
		page, err := c.ListPolicyVersions(t.Context(), in)
		must(t, err)
		for _, v := range page.Versions {
			got = append(got, *v.VersionId)
		}
		if in.Marker = page.Marker; !page.IsTruncated {
			break
		}
		if len(got) == 1 {
			drop("v10")
		}
	}
	if diff := cmp.Diff([]string{"v10", "v9", "v8", "v1"}, got); diff != "" {
		t.Error(diff)
	}
}
