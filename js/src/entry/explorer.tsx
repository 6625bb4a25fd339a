import { Explorer } from "../views/explorer/explorer";
import { widget } from "./mount";

export default widget(Explorer, "Explorer");
