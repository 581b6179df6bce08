// Makes shards of the replica sets that the environment names; run again, it changes nothing.
//
//   MONGOS   host:port of a router
//   SHARDS   NAME/host:port of each shard, separated by spaces; the list may grow. A shard is removed by hand (removeShard),
//            because its data has to be moved away first.
const { MONGOS, SHARDS } = process.env;
const admin = new Mongo(`mongodb://${MONGOS}/?serverSelectionTimeoutMS=120000`).getDB('admin');
const known = admin.adminCommand({ listShards: 1 }).shards.map((shard) => shard._id);
for (const shard of SHARDS.trim().split(/\s+/)) {
  const name = shard.split('/')[0];
  if (known.includes(name)) {
    print(`${name} is there`);
    continue;
  }
  admin.adminCommand({ addShard: shard, name });
  print(`${name} joined`);
}
