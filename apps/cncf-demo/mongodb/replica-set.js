// Makes one replica set of the members that the environment names; run again, it changes nothing.
//
//   REPLICA_SET   its name
//   ROLE          configsvr or shardsvr
//   MEMBERS       host:port of each member, separated by commas; the list may grow. A set shrinks by hand (rs.remove), before
//                 its StatefulSet does: members that are gone already could leave it without a majority.
const { REPLICA_SET, ROLE, MEMBERS } = process.env;
const hosts = MEMBERS.split(',');

// The driver waits this long for a server that fits, which is all the waiting there is.
const patience = 'serverSelectionTimeoutMS=120000';

// A member that knows no set says so by having no setName.
const first = new Mongo(`mongodb://${hosts[0]}/?directConnection=true&${patience}`).getDB('admin');
if (first.adminCommand({ hello: 1 }).setName) {
  print(`${REPLICA_SET} is there`);
} else {
  const config = { _id: REPLICA_SET, members: hosts.map((host, _id) => ({ _id, host })) };
  if (ROLE === 'configsvr') {
    config.configsvr = true;
  }
  first.adminCommand({ replSetInitiate: config });
  print(`${REPLICA_SET} is made of ${hosts.length}`);
}

// From here on only a primary will do. Members are added one by one, as reconfiguring safely demands.
const admin = new Mongo(`mongodb://${hosts.join(',')}/?replicaSet=${REPLICA_SET}&${patience}`).getDB('admin');
for (const host of hosts) {
  const { config } = admin.adminCommand({ replSetGetConfig: 1 });
  if (config.members.some((member) => member.host === host)) {
    continue;
  }
  config.version++;
  config.members.push({ _id: Math.max(...config.members.map((member) => member._id)) + 1, host });
  admin.adminCommand({ replSetReconfig: config });
  print(`${host} joined ${REPLICA_SET}`);
}
