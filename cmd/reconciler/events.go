package main

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/eks-gitops/reconciler/pkg/eks"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// feeds are the queues that tell what others do in AWS, by region: one for all clusters there.
type feeds map[string]*eks.Feed

// openFeeds makes the feeds of the queues that the flag or the environment names. Nothing is read yet.
func (a *app) openFeeds(ctx context.Context, sink run.Sink) error {
	queues := a.queues
	if len(queues) == 0 {
		queues = strings.FieldsFunc(a.getenv("RECONCILER_EVENTS_QUEUE"), func(r rune) bool { return r == ',' || r == ' ' })
	}
	a.feeds = feeds{}
	for _, queue := range queues {
		cfg, err := awsConfig(ctx, eks.QueueRegion(queue))
		if err != nil {
			return fmt.Errorf("reading the AWS configuration for the queue %s: %w", queue, err)
		}
		if !strings.HasPrefix(queue, "https://") || cfg.Region == "" {
			return fmt.Errorf("--events-queue: %q is not the URL of an SQS queue\n  try: aws sqs get-queue-url --queue-name reconciler-events", queue)
		}
		if a.feeds[cfg.Region] != nil {
			return fmt.Errorf("--events-queue: region %s has two queues; want one per region", cfg.Region)
		}
		a.feeds[cfg.Region] = eks.NewFeed(eks.FeedOptions{AWS: cfg, Queue: queue, Log: a.log(), Trouble: func(e *gitops.Error) {
			sink.Emit(run.Heard{Head: run.Head{At: a.now()}, Queue: queue, Error: e})
		}})
	}
	return nil
}

// start reads all queues until ctx ends.
func (f feeds) start(ctx context.Context, running *sync.WaitGroup) {
	for _, feed := range f {
		running.Go(func() { feed.Run(ctx) })
	}
}

// follow tells a cluster what others do to it, where its region has a queue, until the returned function is called.
func (f feeds) follow(region, cluster string, cloud *eks.Cloud) (stop func()) {
	if feed := f[region]; feed != nil {
		return feed.Follow(cluster, cloud)
	}
	return func() {}
}
