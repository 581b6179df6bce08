package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/pkg/eks"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/render/sops"
)

// decryption gives the keys that encrypted files of a cluster are opened with: those of this process, as far as the cluster's
// reconcile.yaml allows them.
func (a *app) decryption() func(gitops.Cluster) (sops.Keys, *gitops.Error) {
	return func(c gitops.Cluster) (sops.Keys, *gitops.Error) {
		rules, problems := plan.DecodeRules(c.Policy, checks())
		if len(problems) > 0 {
			return sops.Keys{}, gitops.Errorf(gitops.DecryptFailed, "nothing is decrypted while the policy cannot be read, which says with what").At(gitops.Origin{Position: problems[0].From.Position})
		}
		allowed := rules.Decryption
		keys := sops.Keys{
			Age: func() ([]sops.KeyFile, error) { return a.ageKeyFiles(allowed.Age) },
			Try: "give the key of one of them (--age-key-file, SOPS_AGE_KEY_FILE; kms:Decrypt for AWS KMS), or add yours: sops updatekeys FILE",
			ID:  string(gitops.DigestOf([]any{allowed.Age, allowed.KMS})),
		}
		if allowed.KMS {
			keys.KMS = eks.KMS{Config: awsConfig}
		}
		return keys, nil
	}
}

// ageKeyFiles reads the files with age identities anew: a rotated key is used at once. only names those that may be used; nil
// means all.
func (a *app) ageKeyFiles(only []string) ([]sops.KeyFile, error) {
	var paths []string
	var trouble []error
	for _, place := range append(slices.Clone(a.ageKeys), a.getenv("SOPS_AGE_KEY_FILE")) {
		found, err := keyFiles(place)
		paths, trouble = append(paths, found...), append(trouble, err)
	}
	// Where sops itself looks.
	if own := filepath.Join(a.configFolder(), "sops", "age", "keys.txt"); exists(own) {
		paths = append(paths, own)
	}
	var out []sops.KeyFile
	for _, path := range paths {
		if only != nil && !slices.Contains(only, filepath.Base(path)) {
			continue
		}
		body, err := os.ReadFile(path)
		if err != nil {
			trouble = append(trouble, fmt.Errorf("reading age identities: %w", err))
			continue
		}
		out = append(out, sops.KeyFile{Name: path, Text: body})
	}
	if text := a.getenv("SOPS_AGE_KEY"); text != "" && only == nil {
		out = append(out, sops.KeyFile{Name: "SOPS_AGE_KEY", Text: []byte(strings.Join(strings.Fields(uncommented(text)), "\n"))})
	}
	return out, errors.Join(trouble...)
}

// keyFiles are the files that a place means: itself, or those of a folder, as a Secret is mounted (whose real files are in
// hidden folders).
func keyFiles(place string) ([]string, error) {
	if place == "" {
		return nil, nil
	}
	info, err := os.Stat(place)
	if err != nil {
		return nil, fmt.Errorf("looking for age identities: %w", err)
	}
	if !info.IsDir() {
		return []string{place}, nil
	}
	entries, err := os.ReadDir(place)
	if err != nil {
		return nil, fmt.Errorf("looking for age identities: %w", err)
	}
	var out []string
	for _, e := range entries {
		path := filepath.Join(place, e.Name())
		if info, err := os.Stat(path); err == nil && !info.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			out = append(out, path)
		}
	}
	return out, nil
}

// uncommented drops comment lines: SOPS_AGE_KEY may hold the content of a key file, or keys between spaces.
func uncommented(text string) string {
	lines := strings.Split(text, "\n")
	return strings.Join(slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(strings.TrimSpace(line), "#") }), "\n")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
