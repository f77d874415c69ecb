import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.neo4j.configuration.GraphDatabaseSettings;
import org.neo4j.configuration.connectors.BoltConnector;
import org.neo4j.configuration.helpers.SocketAddress;
import org.neo4j.dbms.api.DatabaseManagementServiceBuilder;
import org.neo4j.graphdb.QueryExecutionException;

/** Neo4j with Bolt on loopback: arguments are the data folder, the port, and the file that holds the password of "neo4j". */
public class Neo4j {
    public static void main(String[] arguments) throws Exception {
        var folder = Path.of(arguments[0]);
        var address = new SocketAddress("127.0.0.1", Integer.parseInt(arguments[1]));
        var password = Files.readString(Path.of(arguments[2])).strip();
        var service = new DatabaseManagementServiceBuilder(folder)
            .setConfig(GraphDatabaseSettings.auth_enabled, true)
            .setConfig(GraphDatabaseSettings.pagecache_memory, 256L * 1024 * 1024)
            .setConfig(BoltConnector.enabled, true)
            .setConfig(BoltConnector.listen_address, address)
            .setConfig(BoltConnector.advertised_address, address)
            .build();
        Runtime.getRuntime().addShutdownHook(new Thread(service::shutdown));
        try {
            service.database("system").executeTransactionally(
                "ALTER USER neo4j SET PASSWORD $password CHANGE NOT REQUIRED", Map.of("password", password));
        } catch (QueryExecutionException refused) {
            // Started again on the folder of an earlier run, the password is set already, which Neo4j takes for a mistake.
            if (!refused.getMessage().contains("cannot be the same")) {
                throw refused;
            }
        }
        Files.writeString(folder.resolve("ready"), "ready");
        Thread.currentThread().join();
    }
}
