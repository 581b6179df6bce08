package aws_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/internal/sim/aws/simtest"
)

func admin(t *testing.T, s *simtest.Sim, method, path, body string, change func(*http.Request)) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(r)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(raw)
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	s := simtest.Start(t, aws.Options{})
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/_sim/", "", 200, `"DescribeCluster"`},
		{"GET", "/_sim/state", "", 200, `"iam"`},
		{"POST", "/_sim/faults", `{"service":"kms","effect":"throttle"}`, 200, `"f1"`},
		{"POST", "/_sim/faults", `{"effect":"explode"}`, 400, "explode"},
		{"GET", "/_sim/faults", "", 200, `"effect": "throttle"`},
		{"DELETE", "/_sim/faults/f9", "", 400, "no fault f9"},
		{"DELETE", "/_sim/faults/f1", "", 200, `"removed": 1`},
		{"POST", "/_sim/faults", `{"effect":"drop"}`, 200, `"f2"`},
		{"DELETE", "/_sim/faults", "", 200, `"removed": 1`},
		{"GET", "/_sim/requests?since=x", "", 400, "error"},
		{"GET", "/_sim/requests", "", 200, "[]"},
		{"PUT", "/_sim/zones/us-west-2b", "", 200, `"us-west-2b"`},
		{"PUT", "/_sim/zones/us-west-2z", "", 400, "no availability zone us-west-2z"},
		{"GET", "/_sim/zones", "", 200, `"us-west-2b"`},
		{"DELETE", "/_sim/zones/us-west-2b", "", 200, `"full": []`},
		{"POST", "/_sim/advance", "", 200, "{}"},
		{"GET", "/_sim/nope", "", 404, ""},
	} {
		status, body := admin(t, s, c.method, c.path, c.body, nil)
		if status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s %s: %d %s; want %d %s", c.method, c.path, status, body, c.status, c.want)
		}
	}
	for name, change := range map[string]func(*http.Request){
		"a web page":   func(r *http.Request) { r.Header.Set("Origin", "https://example.org") },
		"another name": func(r *http.Request) { r.Host = "example.org" },
	} {
		if status, _ := admin(t, s, "GET", "/_sim/state", "", change); status != http.StatusForbidden {
			t.Errorf("%s was answered with %d", name, status)
		}
	}
}
