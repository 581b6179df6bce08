package ssm_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/internal/sim/aws/simtest"
	simssm "github.com/eks-gitops/reconciler/internal/sim/aws/ssm"
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

const recommended = "/aws/service/eks/optimized-ami/1.34/amazon-linux-2023/x86_64/standard/recommended"

func TestParameters(t *testing.T) {
	t.Parallel()
	s := simtest.Start(t, aws.Options{})
	c := ssm.NewFromConfig(s.Config())
	get := func(name string) string {
		out, err := c.GetParameter(t.Context(), &ssm.GetParameterInput{Name: &name})
		must(t, err)
		return *out.Parameter.Value
	}
	id, release := get(recommended+"/image_id"), get(recommended+"/release_version")
	if !strings.HasPrefix(release, "1.34.") || len(id) != len("ami-0123456789abcdef0") {
		t.Errorf("%s %s", id, release)
	}
	var all struct {
		ImageID string `json:"image_id"`
		Release string `json:"release_version"`
	}
	must(t, json.Unmarshal([]byte(get(recommended)), &all))
	if all.ImageID != id || all.Release != release {
		t.Errorf("%+v", all)
	}
	if again := get("arn:aws:ssm:us-west-2::parameter" + recommended + "/image_id:1"); again != id {
		t.Errorf("%s, %s", id, again)
	}
	_, err := c.GetParameter(t.Context(), &ssm.GetParameterInput{Name: sdk.String(recommended + "/image_id:2")})
	refused(t, err, "ParameterVersionNotFound")
	_, err = c.GetParameter(t.Context(), &ssm.GetParameterInput{Name: sdk.String("/aws/service/eks/optimized-ami/1.99/amazon-linux-2023/x86_64/standard/recommended/image_id")})
	refused(t, err, "ParameterNotFound")
	some, err := c.GetParameters(t.Context(), &ssm.GetParametersInput{Names: []string{recommended + "/image_id", "/none"}})
	must(t, err)
	if len(some.Parameters) != 1 || strings.Join(some.InvalidParameters, "") != "/none" {
		t.Errorf("%+v", some)
	}
	_, err = c.GetParameters(t.Context(), &ssm.GetParametersInput{Names: strings.Split(strings.Repeat("a,", 11), ",")})
	refused(t, err, "ValidationException")
}

func TestByPath(t *testing.T) {
	t.Parallel()
	s := simtest.Start(t, aws.Options{})
	c := ssm.NewFromConfig(s.Config())
	count := func(path string, recursive bool) int {
		seen := map[string]bool{}
		pages := ssm.NewGetParametersByPathPaginator(c, &ssm.GetParametersByPathInput{Path: &path, Recursive: &recursive, MaxResults: sdk.Int32(2)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			must(t, err)
			for _, p := range page.Parameters {
				if seen[*p.Name] || !strings.HasPrefix(*p.Name, path+"/") {
					t.Errorf("%s below %s", *p.Name, path)
				}
				seen[*p.Name] = true
			}
		}
		return len(seen)
	}
	if n := count(recommended, false); n != 3 {
		t.Errorf("%d", n)
	}
	if n := count("/aws/service/eks/optimized-ami/1.34/amazon-linux-2023/x86_64/standard", true); n != 8 {
		t.Errorf("%d", n)
	}
	if n := count("/aws/service/eks", false); n != 0 {
		t.Errorf("%d", n)
	}
	_, err := c.GetParametersByPath(t.Context(), &ssm.GetParametersByPathInput{Path: sdk.String(recommended), NextToken: sdk.String(recommended)})
	refused(t, err, "InvalidNextToken")
}

// TestImages proves that every image id in a parameter is an image, the same one in every world of a region.
func TestImages(t *testing.T) {
	t.Parallel()
	s := simtest.Start(t, aws.Options{})
	ids := map[string]string{}
	for _, i := range simssm.Images("us-west-2") {
		if other, twice := ids[i.ID]; twice {
			t.Errorf("%s is %s and %s", i.ID, i.Name, other)
		}
		ids[i.ID] = i.Name
		s.World.Look(func() {
			if _, ok := s.EC2.Image(i.ID); !ok {
				t.Errorf("EC2 has no %s (%s)", i.ID, i.Name)
			}
		})
	}
	if len(ids) < 60 {
		t.Errorf("%d images", len(ids))
	}
	for _, i := range simssm.Images("eu-west-1") {
		if ids[i.ID] != "" {
			t.Errorf("%s is in two regions", i.ID)
		}
	}
}
