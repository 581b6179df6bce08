package apply

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestAuthMap: aws-auth is made where it is absent, nobody's edit is lost to another's, and an edit that fails or changes nothing
// writes nothing.
func TestAuthMap(t *testing.T) {
	l := newLab(t)
	a := l.AuthMap()
	all := l.raw().client.Resource(gvr("", "v1", "configmaps")).Namespace(authNamespace)
	t.Cleanup(func() { _ = all.Delete(l.background(), authName, metav1.DeleteOptions{}) })
	if data, err := a.AuthMap(t.Context()); len(data) > 0 || err != nil {
		t.Fatalf("an absent ConfigMap: %v %v", data, err)
	}
	if err := a.EditAuthMap(t.Context(), func(map[string]string) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := all.Get(t.Context(), authName, metav1.GetOptions{}); err == nil {
		t.Error("an edit that changes nothing made it")
	}
	var everybody sync.WaitGroup
	for i := range 10 {
		everybody.Go(func() {
			err := a.EditAuthMap(t.Context(), func(data map[string]string) error {
				data["mapRoles"] += fmt.Sprintf("- rolearn: role-%d\n", i)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	everybody.Wait()
	data, err := a.AuthMap(t.Context())
	if lines := strings.Count(data["mapRoles"], "\n"); lines != 10 || err != nil {
		t.Errorf("%d of 10 edits are left: %v\n%s", lines, err, data["mapRoles"])
	}
	why := errors.New("line 3 is not understood")
	err = a.EditAuthMap(t.Context(), func(data map[string]string) error { data["mapRoles"] = ""; return why })
	if err == nil || !contains(err.Error(), why.Error()) {
		t.Errorf("a failed edit: %v", err)
	}
	if after, _ := a.AuthMap(t.Context()); after["mapRoles"] != data["mapRoles"] {
		t.Errorf("a failed edit left\n%s", after["mapRoles"])
	}
}
