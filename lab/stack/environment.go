package stack

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/api/v1/resource"
	"k8s.io/kubernetes/pkg/fieldpath"
	"k8s.io/kubernetes/third_party/forked/golang/expansion"
)

// environment is the container's environment by name, with paths of this machine.
func (f *files) environment(t testing.TB) map[string]string {
	t.Helper()
	env := map[string]string{}
	for _, from := range f.container.EnvFrom {
		var data map[string]string
		switch {
		case from.ConfigMapRef != nil:
			data = f.configMap(t, from.ConfigMapRef.Name, nil, from.ConfigMapRef.Optional)
		case from.SecretRef != nil:
			data = f.secret(t, from.SecretRef.Name, nil, from.SecretRef.Optional)
		}
		for key, value := range data {
			env[from.Prefix+key] = f.here(value)
		}
	}
	for _, variable := range f.container.Env {
		value, ok := f.value(t, variable)
		if ok {
			env[variable.Name] = f.here(expansion.Expand(value, expansion.MappingFuncFor(env)))
		}
	}
	return env
}

// value is what a variable is set to; false if it is optional and its source is not there.
func (f *files) value(t testing.TB, variable corev1.EnvVar) (string, bool) {
	t.Helper()
	from := variable.ValueFrom
	switch {
	case from == nil:
		return variable.Value, true
	case from.FieldRef != nil:
		return f.field(t, from.FieldRef.FieldPath), true
	case from.ResourceFieldRef != nil:
		text, err := resource.ExtractContainerResourceValue(from.ResourceFieldRef, f.container)
		if err != nil {
			t.Fatal(err)
		}
		return text, true
	case from.ConfigMapKeyRef != nil:
		text, ok := f.configMap(t, from.ConfigMapKeyRef.Name, nil, from.ConfigMapKeyRef.Optional)[from.ConfigMapKeyRef.Key]
		return text, ok
	case from.SecretKeyRef != nil:
		text, ok := f.secret(t, from.SecretKeyRef.Name, nil, from.SecretKeyRef.Optional)[from.SecretKeyRef.Key]
		return text, ok
	}
	t.Fatalf("the variable %s of %s has a source that is not known here", variable.Name, f.describe())
	return "", false
}

// field is a field of the pod. Addresses are loopback, because that is where the program runs.
func (f *files) field(t testing.TB, path string) string {
	t.Helper()
	switch path {
	case "spec.nodeName":
		return f.pod.Spec.NodeName
	case "spec.serviceAccountName":
		return f.pod.Spec.ServiceAccountName
	case "status.podIP", "status.podIPs", "status.hostIP", "status.hostIPs":
		return "127.0.0.1"
	}
	text, err := fieldpath.ExtractFieldPathAsString(f.pod, path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// arguments are the container's arguments with paths of this machine. The first word of a command is the program itself.
func (f *files) arguments(env map[string]string) []string {
	args := slices.Clone(f.container.Args)
	if len(f.container.Command) > 1 {
		args = slices.Concat(f.container.Command[1:], args)
	}
	for i, arg := range args {
		args[i] = f.here(expansion.Expand(arg, expansion.MappingFuncFor(env)))
	}
	return args
}

// adapt makes the differences of a Spec in the arguments. A flag that is set or dropped has to be there: a difference that no
// longer is one would hide that the manifest changed.
func adapt(t testing.TB, args []string, s Spec) []string {
	t.Helper()
	used := map[string]bool{}
	var out []string
	for i := 0; i < len(args); i++ {
		name, _, joined := strings.Cut(args[i], "=")
		value, set := s.Set[name]
		drop := slices.Contains(s.Drop, name)
		if !set && !drop {
			out = append(out, args[i])
			continue
		}
		used[name] = true
		if !joined && i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
			i++ // its value is the next argument
		}
		if set {
			out = append(out, name+"="+value)
		}
	}
	for name := range s.Set {
		if !used[name] {
			t.Fatalf("%s has no flag %s to set; its arguments are %q", s.Workload, name, args)
		}
	}
	for _, name := range s.Drop {
		if !used[name] {
			t.Fatalf("%s has no flag %s to drop; its arguments are %q", s.Workload, name, args)
		}
	}
	return append(out, s.Add...)
}
