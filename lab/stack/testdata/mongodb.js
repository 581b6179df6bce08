// Stands for MongoDB under the scripts of apps/cncf-demo/mongodb: a replica set and a router that know the commands which the
// scripts use, refuse what MongoDB refuses, and tell what was written. RUNS are the environments of the runs, one after the
// other over the same state; "end" stands after each.
export const options = { vus: 1, iterations: 1 };

const script = open(__ENV.SCRIPT);
const runs = JSON.parse(__ENV.RUNS);

let set = null; // the replica set's configuration
const shards = [];

const hostsOf = (config) => config.members.map((member) => member.host);

function refuse(codeName) {
  throw Object.assign(new Error(codeName), { codeName });
}

const member = {
  hello: () => (set ? { setName: set._id } : { isreplicaset: true }),
  replSetInitiate(config, uri) {
    if (set) refuse('AlreadyInitialized');
    if (!uri.includes('directConnection=true')) refuse('ServerSelectionTimeout');
    set = { version: 1, ...config };
    console.log(`replSetInitiate ${config.configsvr ? 'configsvr ' : ''}${hostsOf(config)}`);
  },
  replSetGetConfig: () => ({ config: JSON.parse(JSON.stringify(set)) }),
  replSetReconfig(config) {
    const old = hostsOf(set);
    const now = hostsOf(config);
    const changed = now.filter((host) => !old.includes(host)).length + old.filter((host) => !now.includes(host)).length;
    const moved = set.members.some((was) => config.members.some((is) => is.host === was.host && is._id !== was._id));
    const ids = new Set(config.members.map((one) => one._id));
    if (config.version !== set.version + 1 || changed > 1 || moved || ids.size !== config.members.length) {
      refuse('NewReplicaSetConfigurationIncompatible');
    }
    set = config;
    console.log(`replSetReconfig ${hostsOf(config)}`);
  },
};

const router = {
  listShards: () => ({ shards: shards.map((_id) => ({ _id })) }),
  addShard(shard) {
    const name = shard.split('/')[0];
    if (shards.includes(name)) refuse('DuplicateKey');
    shards.push(name);
    console.log(`addShard ${shard}`);
  },
};

// Mongo is a connection. One that asks for a set finds a primary only if there is such a set.
class Mongo {
  constructor(uri) {
    const wanted = /replicaSet=([^&]*)/.exec(uri);
    if (wanted && (!set || set._id !== wanted[1])) refuse('ServerSelectionTimeout');
    this.uri = uri;
  }
  getDB(name) {
    if (name !== 'admin') refuse('Unauthorized');
    return {
      adminCommand: (command) => {
        const [verb] = Object.keys(command);
        const known = this.uri.startsWith('mongodb://mongos') ? router : member;
        if (!known[verb]) refuse('CommandNotFound');
        return known[verb](command[verb], this.uri);
      },
    };
  }
}

export default function () {
  for (const env of runs) {
    new Function('process', 'Mongo', 'print', script)({ env }, Mongo, () => {});
    console.log('end');
  }
}
