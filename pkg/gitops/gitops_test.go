package gitops_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

func TestRefText(t *testing.T) {
	for _, tc := range []struct {
		ref         gitops.Ref
		text, label string
	}{
		{gitops.Ref{Domain: gitops.EKS, Kind: "Nodegroup", Namespace: "dev", Name: "system"}, "eks/Nodegroup/dev/system", "Nodegroup system"},
		{gitops.Ref{Domain: gitops.EKS, Kind: "ServiceAccount", Namespace: "dev", Name: "dns/external-dns"}, "eks/ServiceAccount/dev/dns/external-dns", "ServiceAccount dns/external-dns"},
		{gitops.Ref{Domain: gitops.K8s, Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"}, "k8s/apps/Deployment/shop/web", "apps/Deployment shop/web"},
		{gitops.Ref{Domain: gitops.K8s, Kind: "Namespace", Name: "shop"}, "k8s/core/Namespace/-/shop", "Namespace shop"},
	} {
		if tc.ref.String() != tc.text || tc.ref.Label() != tc.label {
			t.Errorf("%+v: %q, %q", tc.ref, tc.ref.String(), tc.ref.Label())
		}
		back, err := gitops.ParseRef(tc.text)
		if err != nil || back != tc.ref {
			t.Errorf("%s came back as %+v, %v", tc.text, back, err)
		}
	}
	for _, bad := range []string{"", "eks", "eks/Nodegroup/dev", "eks//dev/x", "k8s/apps/Deployment/shop", "k8s/apps/Deployment/shop/web/x", "aws/a/b/c", "k8s/core//-/x"} {
		if r, err := gitops.ParseRef(bad); err == nil {
			t.Errorf("%q was read as %+v", bad, r)
		}
	}
}

func FuzzParseRef(f *testing.F) {
	f.Add("eks/Nodegroup/dev/system")
	f.Add("k8s/core/Namespace/-/shop")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := gitops.ParseRef(s)
		if err != nil {
			return
		}
		if r.String() != s {
			t.Errorf("%q became %q", s, r.String())
		}
	})
}

func TestErrorDocument(t *testing.T) {
	cause := errors.New("boom")
	e := gitops.Errorf(gitops.ApplyFailed, "applying web: %w", cause).
		On(gitops.Ref{Domain: gitops.K8s, Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"}).
		At(gitops.Origin{Position: gitops.Position{File: "a/web.yaml", Line: 3}, Overlay: "a"})
	if got, want := e.Error(), "ApplyFailed: apps/Deployment shop/web: a/web.yaml:3: applying web: boom"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if !errors.Is(e, cause) || !errors.Is(fmt.Errorf("outer: %w", e), &gitops.Error{Reason: gitops.ApplyFailed}) || errors.Is(e, &gitops.Error{Reason: gitops.Held}) {
		t.Error("errors.Is")
	}
	body, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var back gitops.Error
	if err := json.Unmarshal(body, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(e.Error(), back.Error()); diff != "" {
		t.Error(diff)
	}
	if again, err := json.Marshal(&back); err != nil || string(again) != string(body) {
		t.Errorf("%s became %s, %v", body, again, err)
	}
}

func TestEveryReasonIsExplained(t *testing.T) {
	seen := map[gitops.Reason]bool{}
	for _, e := range gitops.Explanations() {
		if e.Title == "" || e.Meaning == "" || e.Try == "" || seen[e.Reason] {
			t.Errorf("%s is explained badly or twice: %+v", e.Reason, e)
		}
		seen[e.Reason] = true
	}
	if gitops.Reason("Nothing").Title() != "Nothing" {
		t.Error("an unknown reason has no title")
	}
}

func TestRedactor(t *testing.T) {
	r := gitops.Redactor{Key: []byte("key")}
	secret := gitops.Ref{Domain: gitops.K8s, Kind: "Secret", Name: "x"}
	tree := gitops.Tree{
		"metadata":   gitops.Tree{"annotations": gitops.Tree{"kubectl.kubernetes.io/last-applied-configuration": "canary", "free": "seen"}},
		"data":       gitops.Tree{"a": "canary", "b": "canary", "c": "other"},
		"stringData": "canary",
	}
	before := gitops.Clone(tree)
	got := r.Tree(secret, tree)
	if diff := cmp.Diff(before, tree); diff != "" {
		t.Errorf("the tree itself changed: %s", diff)
	}
	if text := fmt.Sprint(got); strings.Contains(text, "canary") || !strings.Contains(text, "seen") {
		t.Error(text)
	}
	data := gitops.TreeAt(got, "data")
	if data["a"] != data["b"] || data["a"] == data["c"] || !gitops.IsRedacted(data["a"]) {
		t.Errorf("marks must be equal exactly when values are: %v", data)
	}
	if other := (gitops.Redactor{Key: []byte("other")}).Value("canary"); other == data["a"] {
		t.Error("the mark does not depend on the key")
	}
	config := gitops.Ref{Domain: gitops.K8s, Kind: "ConfigMap", Name: "x"}
	if got := r.Tree(config, gitops.Tree{"data": gitops.Tree{"a": "seen"}}); gitops.StringAt(got, "data", "a") != "seen" {
		t.Errorf("a ConfigMap lost its data: %v", got)
	}
}

func TestRevisionShort(t *testing.T) {
	for want, r := range map[string]gitops.Revision{
		"main@4f2c9e1": {Ref: "main", Hash: "4f2c9e1aaa"},
		"4f2c9e1":      {Hash: "4f2c9e1aaa"},
		"4f2c9e1+":     {Ref: "4f2c9e1aaa", Hash: "4f2c9e1aaa", Dirty: true},
		"":             {},
	} {
		if r.Short() != want {
			t.Errorf("%q, want %q", r.Short(), want)
		}
	}
}

func TestDigest(t *testing.T) {
	a, b := gitops.Tree{"x": int64(1), "y": []any{"a"}}, gitops.Tree{"y": []any{"a"}, "x": 1.0}
	if gitops.DigestOf(a) != gitops.DigestOf(b) {
		t.Error("the digest depends on order or on how a number was decoded")
	}
	if gitops.DigestOf(a) == gitops.DigestOf(gitops.Tree{"x": int64(2)}) || len(gitops.DigestOf(a)) != 16 || len(gitops.DigestOf(a).Short()) != 8 {
		t.Error("digest")
	}
	defer func() {
		if recover() == nil {
			t.Error("a value without JSON form has a digest")
		}
	}()
	gitops.DigestOf(func() {})
}
