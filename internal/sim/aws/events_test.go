package aws_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"
)

// queueTemplate is a rule, a queue, and the policy that lets the rule send to it.
const queueTemplate = `{"Resources": {
	"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "events", "SqsManagedSseEnabled": true}},
	"Rule": {"Type": "AWS::Events::Rule", "Properties": {
		"EventPattern": {"detail-type": ["AWS API Call via CloudTrail"], "detail": {"eventSource": ["kms.amazonaws.com"]}},
		"Targets": [{"Id": "queue", "Arn": {"Fn::GetAtt": ["Queue", "Arn"]}}]
	}},
	"Policy": {"Type": "AWS::SQS::QueuePolicy", "Properties": {"Queues": [{"Ref": "Queue"}], "PolicyDocument": {"Version": "2012-10-17", "Statement": [{
		"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": {"Fn::GetAtt": ["Queue", "Arn"]},
		"Condition": {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": ["Rule", "Arn"]}}}
	}]}}}
}, "Outputs": {"Url": {"Value": {"Ref": "Queue"}}}}`

// TestEvents: what CloudTrail records of a change arrives in the queue of a rule that it matches, in EventBridge's envelope.
func TestEvents(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.createBody("events", queueTemplate, nil)
	a.settle("events", 0, types.StackStatusCreateComplete)
	keys := kms.NewFromConfig(a.sim.Config())
	made, err := keys.CreateKey(t.Context(), &kms.CreateKeyInput{Description: sdk.String("told")})
	a.must(err)
	_, err = keys.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: made.KeyMetadata.KeyId}) // a read is not told
	a.must(err)
	if got := a.messages(); len(got) != 0 {
		t.Errorf("before the delivery: %v", got)
	}
	a.clock.Move(2 * time.Second)
	got := a.messages()
	if len(got) != 1 {
		t.Fatalf("%d messages: %v", len(got), got)
	}
	detail, _ := got[0]["detail"].(map[string]any)
	identity, _ := detail["userIdentity"].(map[string]any)
	parameters, _ := detail["requestParameters"].(map[string]any)
	want := []any{"0", "AWS API Call via CloudTrail", "aws.kms", "111122223333", "us-west-2", "kms.amazonaws.com", "CreateKey", "arn:aws:iam::111122223333:user/admin", "told"}
	if diff := cmp.Diff(want, []any{
		got[0]["version"], got[0]["detail-type"], got[0]["source"], got[0]["account"], got[0]["region"], detail["eventSource"], detail["eventName"], identity["arn"], parameters["description"],
	}); diff != "" {
		t.Error(diff)
	}
	if agent, _ := detail["userAgent"].(string); !strings.Contains(agent, "api/kms") {
		t.Errorf("user agent %q", agent)
	}
	a.remove("events", 0)
	_, err = sqs.NewFromConfig(a.sim.Config()).GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: sdk.String("events")})
	if code(err) != "AWS.SimpleQueueService.NonExistentQueue" {
		t.Error(err)
	}
}

// TestEventsNeedAPolicy: EventBridge may send only where the queue's own policy lets the rule.
func TestEventsNeedAPolicy(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"another rule": strings.Replace(queueTemplate, `{"Fn::GetAtt": ["Rule", "Arn"]}`, `"arn:aws:events:us-west-2:111122223333:rule/other"`, 1),
		"a user":       strings.Replace(queueTemplate, `{"Service": "events.amazonaws.com"}`, `{"AWS": "111122223333"}`, 1),
		"receiving":    strings.Replace(queueTemplate, `sqs:SendMessage`, `sqs:ReceiveMessage`, 1),
		"other queue":  strings.Replace(queueTemplate, `"Action": "sqs:SendMessage", "Resource": {"Fn::GetAtt": ["Queue", "Arn"]}`, `"Action": "sqs:SendMessage", "Resource": "arn:aws:sqs:us-west-2:111122223333:other"`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAccount(t)
			a.createBody("events", body, nil)
			a.settle("events", 0, types.StackStatusCreateComplete)
			_, err := kms.NewFromConfig(a.sim.Config()).CreateKey(t.Context(), &kms.CreateKeyInput{})
			a.must(err)
			a.clock.Move(time.Minute)
			if got := a.messages(); len(got) != 0 {
				t.Errorf("%v", got)
			}
		})
	}
}

// messages takes what is in the queue "events".
func (a *account) messages() []map[string]any {
	a.t.Helper()
	out, err := sqs.NewFromConfig(a.sim.Config()).ReceiveMessage(a.t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: sdk.String("https://sqs.us-west-2.amazonaws.com/111122223333/events"), MaxNumberOfMessages: 10,
	})
	a.must(err)
	var events []map[string]any
	for _, m := range out.Messages {
		var e map[string]any
		a.must(json.Unmarshal([]byte(*m.Body), &e))
		events = append(events, e)
	}
	return events
}
