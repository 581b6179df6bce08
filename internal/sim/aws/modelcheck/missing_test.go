package modelcheck

import (
	"fmt"
	"testing"
)

// stopped is a recorder that can be failed for good.
type stopped struct{ recorder }

func (s *stopped) Fatal(args ...any) { s.Errorf("%s", fmt.Sprint(args...)) }

func (s *stopped) Log(...any) {}

// TestMissingModelsFailInCI: without the data the checks are left out with a note, and in CI they fail.
func TestMissingModelsFailInCI(t *testing.T) {
	for _, ci := range []string{"", "true"} {
		t.Setenv("CI", ci)
		r := &stopped{}
		missing(r)
		if failed := len(r.fails) > 0; failed != (ci == "true") {
			t.Errorf("with CI=%q it fails: %v", ci, failed)
		}
	}
}

// TestSettable: a property is found through references and lists, and what only AWS sets is none.
func TestSettable(t *testing.T) {
	t.Parallel()
	if once() == nil {
		missing(t)
		return
	}
	for property, want := range map[string]bool{
		"ScalingConfig/MinSize": true, "ScalingConfig/Size": false, "Taints/Effect": true, "Labels": true, "Arn": false, "NodeRepairConfig/Enabled": true,
	} {
		if got := Settable(t, "AWS::EKS::Nodegroup", property); got != want {
			t.Errorf("%s can be set: %v", property, got)
		}
	}
}
