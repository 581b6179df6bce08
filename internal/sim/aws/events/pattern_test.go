package events

import (
	"encoding/json"
	"testing"
)

func TestPatterns(t *testing.T) {
	t.Parallel()
	const event = `{"source": "aws.eks", "resources": ["a", "b"], "detail": {"eventName": "UpdateNodegroupConfig", "n": 1, "requestParameters": {"stackName": "eksctl-dev-cluster"}}}`
	for _, tt := range []struct {
		pattern string
		want    bool
	}{
		{`{"source": ["aws.eks"]}`, true},
		{`{"source": ["aws.ec2", "aws.eks"]}`, true},
		{`{"source": ["aws.ec2"]}`, false},
		{`{"absent": ["x"]}`, false},
		{`{"absent": [{"exists": false}]}`, true},
		{`{"source": [{"exists": true}]}`, true},
		{`{"resources": ["b"]}`, true},
		{`{"resources": ["c"]}`, false},
		{`{"detail": {"n": [1], "eventName": [{"prefix": "Update"}]}}`, true},
		{`{"detail": {"n": [2], "eventName": [{"prefix": "Update"}]}}`, false},
		{`{"detail": {"eventName": [{"suffix": "Config"}]}}`, true},
		{`{"detail": {"eventName": [{"anything-but": ["UpdateNodegroupConfig"]}]}}`, false},
		{`{"detail": {"eventName": [{"anything-but": "Other"}]}}`, true},
		{`{"detail": {"requestParameters": {"stackName": [{"wildcard": "*eksctl-*"}]}}}`, true},
		{`{"detail": {"requestParameters": {"stackName": [{"wildcard": "*eksctl"}]}}}`, false},
		{`{"detail": {"$or": [{"n": [2]}, {"n": [1]}]}}`, true},
		{`{"detail": {"$or": [{"n": [2]}, {"n": [3]}]}}`, false},
		{`{"other": {"n": [1]}}`, false},
	} {
		p, err := parse(tt.pattern)
		if err != nil {
			t.Errorf("%s: %v", tt.pattern, err)
			continue
		}
		var tree map[string]any
		if err := json.Unmarshal([]byte(event), &tree); err != nil {
			t.Fatal(err)
		}
		if got := p.matches(tree); got != tt.want {
			t.Errorf("%s matches: %v", tt.pattern, got)
		}
	}
	for _, bad := range []string{``, `{}`, `{"source": "aws.eks"}`, `{"source": []}`, `{"source": [{"numeric": ["=", 1]}]}`, `{"detail": {}}`, `{"detail": {"$or": [{"n": 1}]}}`} {
		if _, err := parse(bad); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}
