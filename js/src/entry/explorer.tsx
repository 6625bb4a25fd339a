import { widget } from "../mount";
import { Explorer } from "../views/explorer";

export default widget(Explorer, "Explorer");
